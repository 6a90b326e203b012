/** When a run grokked, under each definition of experiment.md §3. */
import type { Outcome } from "../stages/contracts.ts"
import { map } from "./derive.ts"
import type { Node } from "./Node.ts"

export type GrokStep = "firstHalf" | "firstThreshold" | "stopStep"

export const grokSteps: Record<GrokStep, string> = {
  firstHalf: "first test accuracy ≥ 0.5",
  firstThreshold: "first test accuracy ≥ 0.98",
  stopStep: "the stop rule",
}

/** The grok step under a definition. */
export const grokStep = (run: Node<Outcome>, by: GrokStep): Node<number | null> =>
  map(run, (outcome) => outcome[by])

/** Steps of the control ÷ steps of the arm: 0 where the arm never got there; null where the control did not. */
export const speedup = (control: number | null, arm: number | null): number | null =>
  control === null ? null : arm === null ? 0 : control / arm
