/** All pipelines by name. */
import { closure } from "./Node.ts"
import { paper, type SingleConfig, single, smoke, targets } from "./single.ts"

export const scales = ["paper", "smoke"] as const
export type Scale = (typeof scales)[number]

/** Marks everything that comes from a smoke run. */
export const SMOKE_NOTE = "smoke: not evidence"

/** The configuration of a scale before `--set`. */
export const configOf = (scale: Scale): SingleConfig => (scale === "paper" ? paper : smoke)

export interface Pipeline {
  readonly name: string
  readonly description: string
}

export const pipelines: ReadonlyArray<Pipeline> = [
  {
    name: "single",
    description: "one operation and seed: train, then couple update and gradient directions to the centroids",
  },
  {
    name: "reproduce-all",
    description: "everything of the paper that is built so far: single for add, seed 42",
  },
]

/** The names of all stages. */
export const stageNames = (): ReadonlyArray<string> => [
  ...new Set(closure(targets(single(paper))).map(({ stage }) => stage)),
]

export { single, targets }
