/**
 * What happens when attention (or another block) may move only along, or only across, a few directions (experiment.md §6): every arm
 * for one operation and seed, paired with the natural run of the same seed, which is the control.
 */
import { branchableUntil } from "../stages/arms.ts"
import { KEYFRAME } from "../stages/checkpoints.ts"
import type { Dataset, TrainedRun } from "../stages/contracts.ts"
import { type IntervenedRun, intervene } from "../stages/intervene.ts"
import { type Node, node } from "./Node.ts"
import type { SingleConfig } from "./single.ts"

type Arm = Parameters<typeof intervene.run>[0]["intervention"]
type Setting = Pick<Arm, "arm" | "version" | "buffer">

const published = ["remove-sed", "keep-sed", "remove-random", "keep-random"] as const
const nulls = ["keep-random-norm-matched", "frozen", "frozen-after-warmup", "decay-only", "noise"] as const

/** Every arm but the control, by id and version. */
export const settings: ReadonlyArray<Setting & { readonly id: string }> = [
  ...published.map((arm) => ({ id: arm, arm, version: "gradient", buffer: "modified" }) as const),
  ...nulls.map((arm) => ({ id: arm, arm, version: "gradient", buffer: "modified" }) as const),
  ...(["remove-sed", "keep-sed"] as const).map(
    (arm) => ({ id: `natural-buffer-${arm}`, arm, version: "gradient", buffer: "natural" }) as const,
  ),
  ...published.map((arm) => ({ id: arm, arm, version: "update", buffer: "modified" }) as const),
]

/** The run that an arm branches from: arms with a short warm-up need not wait for it. */
export const naturalFor = (arm: Arm, run: Node<TrainedRun>): Node<TrainedRun> | null =>
  branchableUntil(arm) < KEYFRAME ? null : run

export interface Intervention extends Setting {
  readonly id: string
  readonly run: Node<IntervenedRun>
}

export const interventions = (
  { seed, model, train, block, data: { operation } }: SingleConfig,
  { data, run }: { readonly data: Node<Dataset>; readonly run: Node<TrainedRun> },
  { window, rank, warmup }: Pick<Arm, "window" | "rank" | "warmup">,
): ReadonlyArray<Intervention> =>
  settings.map((setting) => {
    const { id, arm, version, buffer } = setting
    const intervention = { arm, version, buffer, window, rank, warmup }
    return {
      ...setting,
      run: node(
        intervene,
        { data, model, train, intervention, block, seed, natural: naturalFor(intervention, run) },
        `${operation}/${seed} ${id} ${version}`,
      ),
    }
  })
