/** The probes of a run: the pairs whose centroids are watched (experiment.md §5). */
import { Effect } from "effect"
import { integers, stream } from "../numerics/random.ts"
import type { Dataset, ProbeConfig } from "./contracts.ts"
import { type Examples, gridPairs, loadPairs, ofTask, take } from "./pairs.ts"

/** What is wrong with probes on a data set, or true: a Schema's filter. */
export const problemOfProbes = ({
  data,
  probe,
}: {
  readonly data: Pick<Dataset, "operations" | "labels">
  readonly probe: Pick<ProbeConfig, "from" | "task">
}) => {
  const tasks = data.operations.length
  if (probe.task >= tasks) {
    return { path: ["probe", "task"], issue: `Expected a task below ${tasks}, got ${probe.task}` }
  }
  // A pair outside of the table has no shuffled label.
  return probe.from === "grid" && data.labels === "shuffled"
    ? { path: ["probe", "from"], issue: "Expected table, because labels are shuffled, got grid" }
    : true
}

/** All pairs of a data set's table, a-major, with the label of one task. */
export const tablePairs = Effect.fn("tablePairs")(function* (data: Dataset, task: number) {
  const { all } = yield* loadPairs(data)
  return ofTask(all, task)
})

/** Pairs with the index of their correct logit, task·p + label, in place of the label: what centroids take. */
export const asProbes = ({ a, b, label }: Examples, { modulus }: Dataset, task: number): Examples => ({
  a,
  b,
  label: label.map((value) => task * modulus + value),
})

/** The probes of a run, the same whenever they are drawn. */
export const drawProbes = Effect.fn("drawProbes")(function* (
  data: Dataset,
  { probes, from, task }: Pick<ProbeConfig, "probes" | "from" | "task">,
  seed: number,
) {
  const pairs = from === "grid" ? ofTask(gridPairs(data), task) : yield* tablePairs(data, task)
  const places = integers(stream(seed, "probe"), probes, pairs.a.length)
  return asProbes(take(pairs, places), data, task)
})
