/** One file for each cell of what `test/services/verify.test.ts` leaves out; many in `soak/corruption.soak.ts`. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { damageNames, kinds, prepared, results, tryCell } from "./corruption.ts"
import { laboratory, undisturbed } from "./everyOperation.ts"

const TIMEOUT = 300_000

layer(laboratory, { excludeTestServices: true, timeout: TIMEOUT })("a damaged file", (it) => {
  it.effect(
    "of each kind, in each way, changes nothing that a run ends with",
    () =>
      Effect.gen(function* () {
        const expected = yield* undisturbed
        const template = yield* prepared
        for (const kind of kinds) {
          for (const damage of damageNames) {
            const cell = { kind, damage, verified: false }
            const fate = yield* tryCell(cell, expected, template, (count) => count >> 1)
            const isResult = results.some((result) => result === kind)
            assert.strictEqual(fate === "passed over", !isResult, `${kind} ${damage}`)
          }
        }
      }),
    TIMEOUT,
  )
})
