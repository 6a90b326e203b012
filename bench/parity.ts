/**
 * `pnpm bench parity`: how far each engine that works here is from float64, at the paper's size: losses, a gradient, energies and
 * R̄, against what PyTorch computes in double precision (`test/parity/golden`). `docs/engines.md` shows what was recorded.
 */
import { availableParallelism } from "node:os"
import { Console, Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { median } from "../src/numerics/statistics.ts"
import { CodeFingerprint } from "../src/services/CodeFingerprint.ts"
import { type EngineName, engineLayer, engineNames } from "../src/services/engine/engines.ts"
import { TensorEngine } from "../src/services/TensorEngine.ts"
import { energiesAt, firstGradient, trained, values } from "../test/parity/twin.ts"
import { append, recording } from "./measured.ts"

const NAME = "parity"
/** Steps after which the loss is compared. */
const AFTER = [1, 10, 100]
/** Steps before the energies of the golden numbers. */
const STEPS = 200

const errors = (ours: ArrayLike<number>, exact: ReadonlyArray<number>, scale: (exact: number) => number) => {
  const all = exact.map((value, i) => Math.abs(ours[i] - value) / scale(value))
  return { max: Math.max(...all), median: median(all) }
}

const rootMeanSquare = (xs: ReadonlyArray<number>): number =>
  Math.sqrt(xs.reduce((sum, x) => sum + x * x, 0) / xs.length)

/** An energy over the median of others, as R̄ is. */
const ratioOf = ([first, ...others]: ReadonlyArray<number>): number => first / median(others)

/** Errors of each quantity on the engine at hand. */
const measured = Effect.gen(function* () {
  const losses64 = values("losses64")
  const { theta, losses } = yield* trained(STEPS)
  const afterSteps = AFTER.map((steps) => [
    `loss after ${steps}`,
    errors([losses[steps]], [losses64[steps]], Math.abs),
  ])
  const gradient64 = values("gradient64")
  const scale = rootMeanSquare(gradient64)
  const energies = Array.from(yield* energiesAt(theta))
  const found: Readonly<Record<string, ReturnType<typeof errors>>> = {
    ...Object.fromEntries(afterSteps),
    gradient: errors(yield* firstGradient, gradient64, () => scale),
    "A(v)": errors(energies, values("energy"), Math.abs),
    R̄: errors([ratioOf(energies)], [ratioOf(values("energy"))], Math.abs),
  }
  return found
})

const onEngine = (engine: EngineName) =>
  Effect.gen(function* () {
    const { version } = yield* TensorEngine
    return { engine, version: yield* version, errors: yield* measured }
  }).pipe(
    Effect.provide(
      engineLayer(engine, { threads: availableParallelism() }).pipe(
        Layer.provideMerge(CodeFingerprint.layer),
      ),
    ),
    Effect.map((figures) => [figures]),
    Effect.catchTag("EngineUnavailable", ({ message }) => Effect.as(Console.log(`  ${message}`), [])),
  )

export const parity = Command.make(
  NAME,
  { record: recording(NAME) },
  Effect.fn(function* ({ record }) {
    for (const name of engineNames) {
      for (const figures of yield* onEngine(name)) {
        yield* Console.log(`\n${figures.engine} (${figures.version})`)
        for (const [quantity, { max, median }] of Object.entries(figures.errors)) {
          yield* Console.log(
            `  ${quantity.padEnd(16)} max ${max.toExponential(1)}  median ${median.toExponential(1)}`,
          )
        }
        if (record) yield* append(NAME, figures)
      }
    }
  }),
).pipe(Command.withDescription("Each engine against float64"))
