/** The whole sweep is `soak/operations.soak.ts`; this is a sample of it. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { failAt, laboratory, undisturbed } from "./everyOperation.ts"

const TIMEOUT = 180_000

/** A prime, so that a sample meets operations of every kind. */
const EVERY = 149

layer(laboratory, { excludeTestServices: true, timeout: TIMEOUT })(
  "a pipeline whose file system fails",
  (it) => {
    it.effect(
      "does the same operations in each run",
      () =>
        Effect.gen(function* () {
          const runs = [yield* undisturbed, yield* undisturbed]
          assert.deepStrictEqual(runs[0], runs[1])
        }),
      TIMEOUT,
    )

    for (const forGood of [false, true]) {
      it.effect(
        `${forGood ? "for good" : "once"}, at any operation, ends as an undisturbed one when it is run again`,
        () =>
          Effect.gen(function* () {
            const expected = yield* undisturbed
            for (
              let failing = forGood ? EVERY >> 1 : 1;
              failing <= expected.operations.length;
              failing += EVERY
            ) {
              yield* failAt(expected, failing, forGood)
            }
          }),
        TIMEOUT,
      )
    }
  },
)
