/** Our side of `pnpm bench evaluate`: what a training does with all pairs at every checkpoint. */
import { Effect } from "effect"
import { initialParameters } from "../../src/model/initialise.ts"
import { makeLayout } from "../../src/model/layout.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import { openEvaluation } from "../../src/stages/evaluation.ts"
import { timed } from "../measured.ts"
import { options, print } from "./contestant.ts"

const { modulus } = paper.data
const layout = makeLayout({ modulus, tasks: 1, ...paper.model })
const places = Array.from({ length: modulus ** 2 }, (_, i) => i)
const a = Int32Array.from(places, (i) => Math.floor(i / modulus))
const b = Int32Array.from(places, (i) => i % modulus)
const all = { a, b, label: a.map((value, i) => (value + b[i]) % modulus) }
const isTrain = places.map((i) => i % 2 === 0)

await print(
  Effect.gen(function* () {
    const evaluate = yield* openEvaluation(layout, { all, train: all, isTrain })
    const theta = initialParameters(layout, 42)
    yield* evaluate(theta)
    const msPerStep: Array<number> = []
    for (let i = 0; i < options.steps; i++) msPerStep.push((yield* timed(evaluate(theta))).milliseconds)
    return { msPerStep }
  }),
)
