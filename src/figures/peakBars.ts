/** Peak coupling of every operation and kind of rows beside the range that the paper published. */
import type { Interval } from "./Interval.ts"
import { intervalBars } from "./intervalBars.ts"
import type { Range } from "./rows.ts"
import { type Estimator, estimatorNames, estimatorStyle } from "./theme.ts"

export interface PeakBars {
  readonly title: string
  readonly peaks: ReadonlyArray<{
    readonly operation: string
    readonly kind: Estimator
    /** Maximum over the measurement points of R̄(t) (experiment.md §5). */
    readonly peak: Interval
    readonly published: Range | null
  }>
  /** What only the caller knows: which interval, W, K. */
  readonly caption: string
}

export const peakBars = ({ title, peaks, caption }: PeakBars): string =>
  intervalBars({
    title,
    xLabel: "peak coupling, max over t of R̄(t)",
    caption,
    groups: [...Map.groupBy(peaks, ({ operation }) => operation)].map(([name, group]) => ({
      name,
      bars: group.map(({ kind, peak, published }) => ({
        name: estimatorNames[kind],
        style: estimatorStyle[kind],
        value: peak,
        published,
      })),
    })),
  })
