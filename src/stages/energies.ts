/** Perturbation energies A(v, t) at checkpoints of a run (experiment.md §5), shared by the stages that need them. */
import { Effect } from "effect"
import { type Block, blockOf, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import type { CentroidOf } from "../model/centroids.ts"
import { exactPerturbationEnergies, perturbationEnergies } from "../model/programs.ts"
import { norm } from "../numerics/gram.ts"
import { release, TensorEngine } from "../services/TensorEngine.ts"
import type { Dataset, ProbeConfig } from "./contracts.ts"
import { drawProbes } from "./probes.ts"
import type { Checkpoints } from "./trajectory.ts"

/** Directions per engine call: the longest that a person waits after Ctrl-C. */
const CHUNK = 10

/** What the centroids of a configuration are gradients of. */
export const centroidOf = ({ centroid, task }: ProbeConfig): CentroidOf =>
  centroid === "correct-logit" ? { kind: "correct-logit" } : { kind: "logit-sum", task }

/** Compiles the energies of directions, one after another [k·block], at θ: central differences, or ε → 0. */
const compileEnergies = Effect.fnUntraced(function* (
  { layout }: Checkpoints,
  probe: ProbeConfig,
  block: Block,
  probes: Effect.Success<ReturnType<typeof drawProbes>>,
) {
  const engine = yield* TensorEngine
  const of = centroidOf(probe)
  if (probe.epsilon === 0) {
    const program = yield* engine.compileScan(exactPerturbationEnergies(layout, probe.probes, of, block))
    return (theta: Float32Array, direction: Float32Array) =>
      program.run({ carry: {}, xs: { direction }, constants: { theta, ...probes } })
  }
  const program = yield* engine.compileScan(perturbationEnergies(layout, probe.probes, of, block))
  const ranges = rangesOf(layout, block)
  return (theta: Float32Array, direction: Float32Array) => {
    const epsilon = Float32Array.of(probe.epsilon * norm(blockOf(ranges, theta)))
    return program.run({ carry: {}, xs: { direction }, constants: { theta, epsilon, ...probes } })
  }
})

/** A function (checkpoint, unit directions [block]) -> their energies, compiled once. */
export const openEnergies = Effect.fn("openEnergies")(function* (
  data: Dataset,
  checkpoints: Checkpoints,
  { probe, block, seed }: { readonly probe: ProbeConfig; readonly block: Block; readonly seed: number },
) {
  const energiesOf = yield* compileEnergies(checkpoints, probe, block, yield* drawProbes(data, probe, seed))
  const size = sizeOfRanges(rangesOf(checkpoints.layout, block))
  return Effect.fnUntraced(function* (checkpoint: number, directions: ReadonlyArray<Float32Array>) {
    const at = yield* checkpoints.theta(checkpoint)
    const energies: Array<number> = []
    for (let i = 0; i < directions.length; i += CHUNK) {
      const chunk = directions.slice(i, i + CHUNK)
      const joined = new Float32Array(chunk.length * size)
      for (const [k, vector] of chunk.entries()) joined.set(vector, k * size)
      const { ys } = yield* energiesOf(at, joined)
      release(joined)
      energies.push(...ys.energy)
    }
    return energies
  })
})
