/**
 * Our side of `pnpm bench svd-*` and `directions`: a window over rows of length 131,072 moves on by one row. What is timed is what
 * that needs: the new row's products with the others, the eigenproblem, and the leading directions where they are asked for.
 */
import { Effect } from "effect"
import { rollingGram } from "../../src/numerics/gram.ts"
import { quickNormalsInto, stream } from "../../src/numerics/random.ts"
import { rightSingularVectors, thinSvdFromGram } from "../../src/numerics/svd.ts"
import { timed } from "../measured.ts"
import { options, print } from "./contestant.ts"

const SIZE = 131_072
const WARM_UP = 3

const { window, directions, steps } = options
const rows = Array.from({ length: window + WARM_UP + steps }, (_, i) => {
  const row = new Float32Array(SIZE)
  quickNormalsInto(stream(42, "noise", i), row)
  return row
})
const grams = rollingGram((i) => rows[i])

const slideTo = (first: number) =>
  Effect.sync(() => {
    const svd = thinSvdFromGram(grams.gram(first, window), window)
    return rightSingularVectors(rows.slice(first, first + window), svd, directions)
  })

await print(
  Effect.gen(function* () {
    for (let i = 0; i < WARM_UP; i++) yield* slideTo(i)
    const msPerStep: Array<number> = []
    for (let i = 0; i < steps; i++) msPerStep.push((yield* timed(slideTo(WARM_UP + i))).milliseconds)
    return { msPerStep }
  }),
)
