/** Perturbation energies A(v, t) at checkpoints of a run (experiment.md §5), shared by the stages that need them. */
import { Effect, Schema } from "effect"
import { thetaAttn } from "../model/layout.ts"
import { perturbationEnergies } from "../model/programs.ts"
import { norm } from "../numerics/gram.ts"
import { stream } from "../numerics/random.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { type Dataset, ProbeConfig, Seed } from "./contracts.ts"
import { draw, loadPairs } from "./pairs.ts"
import type { Checkpoints } from "./trajectory.ts"

const Probing = Schema.Struct({ probe: ProbeConfig, seed: Seed })

/** Directions per engine call: the longest that a person waits after Ctrl-C. */
const CHUNK = 10

/** A function (checkpoint, unit directions [attentionSize]) -> their energies, compiled once. */
export const openEnergies = Effect.fn("openEnergies")(function* (
  data: Dataset,
  { layout, theta }: Checkpoints,
  { probe, seed }: typeof Probing.Type,
) {
  const engine = yield* TensorEngine
  const { all } = yield* loadPairs(data)
  const probes = draw(all, stream(seed, "probe"), probe.probes)
  const program = yield* engine.compileScan(perturbationEnergies(layout, probe.probes))
  return Effect.fnUntraced(function* (checkpoint: number, directions: ReadonlyArray<Float32Array>) {
    const at = yield* theta(checkpoint)
    const epsilon = Float32Array.of(probe.epsilon * norm(thetaAttn(layout, at)))
    const energies: Array<number> = []
    for (let i = 0; i < directions.length; i += CHUNK) {
      const chunk = directions.slice(i, i + CHUNK)
      const direction = new Float32Array(chunk.length * layout.attentionSize)
      for (const [k, vector] of chunk.entries()) direction.set(vector, k * layout.attentionSize)
      const { ys } = yield* program.run({
        carry: {},
        xs: { direction },
        constants: { theta: at, epsilon, ...probes },
      })
      energies.push(...ys.energy)
    }
    return energies
  })
})
