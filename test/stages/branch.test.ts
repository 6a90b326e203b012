/** Stage `intervene` where the warm-up is long: it goes on from the natural run, and ends as if it had not. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { train } from "../../src/stages/train.ts"
import { type Change, freshKey, type Intervened, inputOf, intervened } from "./tinyIntervention.ts"
import { memoryCursor, seed, workbench } from "./tinyRun.ts"

const change = (intervention: Change["intervention"], maxSteps = 530): Change => ({
  intervention: { warmup: 510, ...intervention },
  train: { maxSteps, evaluateEvery: 10 },
})

/** Moments are kept at step 500. */
const naturalOf = Effect.fn("naturalOf")(function* (maxSteps: number) {
  const { data, model, train: config } = yield* inputOf(change({}, maxSteps))
  return yield* train.run({ data, model, train: config, seed }, memoryCursor().cursor)
})

const run = Effect.fn("run")(function* (
  { intervention, steps }: { readonly intervention?: Change["intervention"]; readonly steps?: number },
  branched: boolean,
  key = freshKey(),
) {
  const input = yield* inputOf(change(intervention, steps))
  return yield* intervened({ ...input, natural: branched ? yield* naturalOf(520) : null }, key)
})

const result = ({ output, state }: Intervened) => ({ output, state })

layer(workbench())("an intervened run with a long warm-up", (it) => {
  it.effect.each([
    { name: "a window of gradients, filled before", intervention: {} },
    { name: "a window of displacements", intervention: { arm: "remove-sed", version: "update" } },
    { name: "random subspaces", intervention: { arm: "keep-random" } },
    { name: "frozen after it", intervention: { arm: "frozen-after-warmup" } },
  ] as const)(
    "takes the natural run's first 500 steps, and ends with the same bits ($name)",
    ({ intervention }) =>
      Effect.gen(function* () {
        const branched = yield* run({ intervention }, true)
        assert.deepStrictEqual(branched.advanced, [510, 520, 530])
        assert.deepStrictEqual(result(branched), result(yield* run({ intervention }, false)))
      }),
    60_000,
  )

  it.effect(
    "trains itself what the arm does not leave alone",
    () =>
      Effect.gen(function* () {
        for (const intervention of [{ window: 12, warmup: 511 }, { arm: "frozen" }] as const) {
          const { advanced } = yield* run({ intervention, steps: 510 }, true)
          assert.strictEqual(advanced[0], 0)
        }
      }),
    60_000,
  )

  it.effect(
    "goes on from its own entries, however they began",
    () =>
      Effect.gen(function* () {
        const straight = yield* run({}, false)
        const branchedFirst = freshKey()
        yield* run({ steps: 520 }, true, branchedFirst)
        const longer = yield* run({}, true, branchedFirst)
        assert.deepStrictEqual(longer.advanced, [530])
        assert.deepStrictEqual(result(longer), result(straight))

        const straightFirst = freshKey()
        yield* run({ steps: 520 }, false, straightFirst)
        const branched = yield* run({}, true, straightFirst)
        assert.deepStrictEqual(branched.advanced, [530])
        assert.deepStrictEqual(result(branched), result(straight))
      }),
    60_000,
  )
})
