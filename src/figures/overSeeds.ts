/** One curve from those of several seeds, which were measured at different steps. */

export interface Point {
  readonly step: number
  readonly value: number
}

/** Over the seeds, at one step. */
export interface Band {
  readonly step: number
  readonly mean: number
  readonly low: number
  readonly high: number
}

/** Linear between the points, the first and last value beyond them. Points are in order of step. */
export const interpolate = (points: ReadonlyArray<Point>, step: number): number => {
  const next = points.findIndex((point) => point.step >= step)
  const right = next < 0 ? points.at(-1) : points[next]
  const left = next > 0 ? points[next - 1] : right
  if (left === undefined || right === undefined) return Number.NaN
  if (right.step === left.step || right.step <= step) return right.value
  return left.value + ((right.value - left.value) * (step - left.step)) / (right.step - left.step)
}

/**
 * Arithmetic mean, minimum and maximum over the seeds at every step at which any was measured.
 *
 * `afterEnd`: "cut" ends where the first seed ends (and starts where the last one starts); "hold" goes on to the end
 * of the longest with the last value of those that have ended.
 */
export const overSeeds = (
  seeds: ReadonlyArray<ReadonlyArray<Point>>,
  afterEnd: "cut" | "hold",
): ReadonlyArray<Band> => {
  const curves = seeds.filter((points) => points.length > 0)
  const from = Math.max(...curves.map((points) => points[0]?.step ?? 0))
  const ends = curves.map((points) => points.at(-1)?.step ?? 0)
  const to = afterEnd === "cut" ? Math.min(...ends) : Math.max(...ends)
  const steps = [...new Set(curves.flatMap((points) => points.map(({ step }) => step)))]
    .filter((step) => step >= from && step <= to)
    .sort((a, b) => a - b)
  return steps.map((step) => {
    const values = curves.map((points) => interpolate(points, step))
    return {
      step,
      mean: values.reduce((a, b) => a + b, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    }
  })
}
