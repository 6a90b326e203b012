import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { evaluator } from "../../src/pipelines/Node.ts"
import { single } from "../../src/pipelines/single.ts"
import { float32, getJson, getTensors } from "../../src/services/artifacts.ts"
import { Ensembles } from "../../src/services/engine/Ensembles.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { Trajectory } from "../../src/stages/contracts.ts"
import { assertClose } from "../model/close.ts"
import { laboratory, tiny } from "../pipelines/tiny.ts"

const seeds = [1, 2, 3]

/** What the runs of all seeds come to: parameters at their end, and mean R̄ of each window. */
const outcomes = Effect.gen(function* () {
  const resolve = evaluator()
  return yield* Effect.forEach(
    seeds,
    Effect.fnUntraced(function* (seed) {
      const nodes = single({ ...tiny, seed })
      const run = yield* resolve(nodes.run)
      const [last] = (yield* getJson(Trajectory, run.trajectory)).slice(-1)
      const couplings = yield* Effect.forEach(nodes.couplings, ({ coupling }) => resolve(coupling), {
        concurrency: "unbounded",
      })
      return {
        theta: yield* float32(yield* getTensors(last.theta), "theta"),
        means: couplings.map(({ mean }) => mean ?? 0),
      }
    }),
    { concurrency: "unbounded" },
  )
})

const runner = (stages: number) => StageRunner.layer().pipe(Layer.provide(Executor.inProcess(stages)))

it.live(
  "stages side by side in ensembles come to what each comes to by itself",
  () =>
    Effect.gen(function* () {
      const calls = new Map<string, number>()
      const alone = yield* outcomes.pipe(
        Effect.provide(Layer.provideMerge(runner(1), Layer.merge(laboratory(), Progress.silent))),
      )
      const together = yield* outcomes.pipe(
        Effect.provide(
          runner(seeds.length).pipe(
            Layer.provideMerge(Ensembles.layer({ most: seeds.length })),
            Layer.provideMerge(Layer.merge(laboratory(calls), Progress.silent)),
          ),
        ),
      )
      for (const [i, { theta, means }] of together.entries()) {
        assertClose(theta, alone[i].theta, 1e-4, `parameters of seed ${seeds[i]}`)
        assertClose(means, alone[i].means, 1e-2, `R̄ of seed ${seeds[i]}`)
      }
      // Ten blocks of each seed; who is alone for a while depends on the machine.
      const members = [2, 3].map((size) => size * (calls.get(`train-steps x${size}`) ?? 0))
      assert.isAtLeast(members[0] + members[1], 15)
    }),
  180_000,
)
