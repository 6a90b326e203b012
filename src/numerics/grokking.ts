/** When a run grokked, under each of the definitions of experiment.md §3. */

/** Test accuracies at a training step. */
export interface Accuracy {
  readonly step: number
  /** One for each task. */
  readonly tasks: ReadonlyArray<number>
}

export interface StopRule {
  /** Test accuracy that counts as seen. */
  readonly accuracy: number
  /** How often it must be seen. */
  readonly count: number
  /** Whether one evaluation below starts the count again; the published code never resets it. */
  readonly consecutive: boolean
  /** The rule looks only at evaluations at multiples of so many steps. */
  readonly every: number
  /** Whether each task meets the rule by itself and then keeps it, or the worst task's accuracy must meet it. */
  readonly latched: boolean
}

const worst = ({ tasks }: Accuracy): number => Math.min(...tasks)

/** The first step at which every task's test accuracy is at least `threshold`, or null. */
export const firstAtLeast = (curve: ReadonlyArray<Accuracy>, threshold: number): number | null =>
  curve.find((at) => worst(at) >= threshold)?.step ?? null

/** The step at which one accuracy has been seen often enough, or null. */
const stepSeen = (
  curve: ReadonlyArray<Accuracy>,
  accuracyOf: (at: Accuracy) => number,
  { accuracy, count, consecutive }: StopRule,
): number | null => {
  let seen = 0
  for (const at of curve) {
    if (accuracyOf(at) >= accuracy) seen += 1
    else if (consecutive) seen = 0
    if (seen >= count) return at.step
  }
  return null
}

/** The step at which the rule stops the run (the paper's "grok step"), or null. */
export const stopStep = (curve: ReadonlyArray<Accuracy>, rule: StopRule): number | null => {
  const watched = curve.filter(({ step }) => step % rule.every === 0)
  if (!rule.latched) return stepSeen(watched, worst, rule)
  const tasks = watched[0]?.tasks.length ?? 0
  const steps = Array.from({ length: tasks }, (_, task) => stepSeen(watched, (at) => at.tasks[task], rule))
  const reached = steps.flatMap((step) => (step === null ? [] : [step]))
  return tasks > 0 && reached.length === tasks ? Math.max(...reached) : null
}
