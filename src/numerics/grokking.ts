/** When a run grokked, under each of the definitions of experiment.md §3. */

/** Test accuracy at a training step. */
export interface Accuracy {
  readonly step: number
  readonly test: number
}

export interface StopRule {
  /** Test accuracy that counts as seen. */
  readonly accuracy: number
  /** How often it must be seen. */
  readonly count: number
  /** Whether one evaluation below starts the count again; the published code never resets it. */
  readonly consecutive: boolean
}

/** The first step whose test accuracy is at least `threshold`, or null. */
export const firstAtLeast = (curve: ReadonlyArray<Accuracy>, threshold: number): number | null =>
  curve.find(({ test }) => test >= threshold)?.step ?? null

/** The step at which the rule stops the run (the paper's "grok step"), or null. */
export const stopStep = (curve: ReadonlyArray<Accuracy>, rule: StopRule): number | null => {
  let seen = 0
  for (const { step, test } of curve) {
    if (test >= rule.accuracy) seen += 1
    else if (rule.consecutive) seen = 0
    if (seen >= rule.count) return step
  }
  return null
}
