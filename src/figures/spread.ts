/** Labels that keep clear of each other. */

export interface Extent {
  /** Where the label would like its middle to be, pixels. */
  readonly at: number
  /** Pixels. */
  readonly size: number
}

/**
 * Middles of the labels, in the order given, moved as little along the axis as it takes that none overlap and all
 * lie within [low, high], as long as they fit in there.
 */
export const spread = (labels: ReadonlyArray<Extent>, low: number, high: number): ReadonlyArray<number> => {
  const order = labels
    .map((label, index) => ({ ...label, index }))
    .sort((a, b) => a.at - b.at || a.index - b.index)
  const middles = new Array<number>(labels.length).fill(0)
  let edge = low
  for (const { at, size, index } of order) {
    const middle = Math.max(at, edge + size / 2)
    middles[index] = middle
    edge = middle + size / 2
  }
  edge = high
  for (const { size, index } of order.toReversed()) {
    const middle = Math.min(middles[index] ?? edge, edge - size / 2)
    middles[index] = middle
    edge = middle - size / 2
  }
  return middles
}
