/** Coupling of the singular vectors of per-example gradients at three phases of training. */
import type { Interval } from "./Interval.ts"
import { intervalBars } from "./intervalBars.ts"
import { styleAt } from "./theme.ts"

export interface PerExample {
  readonly title: string
  readonly phases: ReadonlyArray<{
    readonly operation: string
    readonly phase: "initial" | "middle" | "last"
    readonly coupling: Interval
    readonly published: number | null
  }>
  /** What only the caller knows: which interval, how many examples, K. */
  readonly caption: string
}

const phaseStyle = { initial: styleAt(0), middle: styleAt(2), last: styleAt(1) }

export const perExample = ({ title, phases, caption }: PerExample): string =>
  intervalBars({
    title,
    xLabel: "coupling R̄ of per-example gradient directions",
    caption,
    groups: [...Map.groupBy(phases, ({ operation }) => operation)].map(([name, group]) => ({
      name,
      bars: group.map(({ phase, coupling, published }) => ({
        name: phase,
        style: phaseStyle[phase],
        value: coupling,
        published: published === null ? null : { low: published, high: published },
      })),
    })),
  })
