import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { upstreamOf } from "../../src/pipelines/Claim.ts"
import { claims } from "../../src/pipelines/claims.ts"
import { settings } from "../../src/pipelines/interventions.ts"
import type { Node } from "../../src/pipelines/Node.ts"
import { paper, paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import { gather } from "../../src/report/evidence.ts"
import { tableNames } from "../../src/report/tables.ts"
import { assertClose } from "../model/close.ts"
import { artifact, idle } from "../pipelines/idle.ts"
import { asPublished, resolving, tablesIn } from "./madeUp.ts"

const published = Effect.runSync(Effect.cached(tablesIn(asPublished, smokeScale)))

describe("the tables of a reproduction", () => {
  it.effect("have a run for each training, with when it grokked, and null where it never did", () =>
    Effect.gen(function* () {
      const { runs } = yield* published
      assert.sameMembers(
        runs.map(({ experiment, operation, seed }) => `${experiment} ${operation}/${seed}`),
        [
          ...["add/42", "add/137", "mul/42", "mul/137"].map((name) => `single ${name}`),
          "non-grokking x3_xy/42",
          ...["sgd", "no-decay", "decay-0.3", "cosine"].map((variant) => `${variant} add/42`),
          "shuffled-labels add/42",
          "multitask all/42",
          "multitask all/137",
        ],
      )
      assert.deepInclude(
        runs.find(({ experiment }) => experiment === "single"),
        { steps: 3300, firstHalf: 2700, firstThreshold: 2825, stopStep: 3300, finalTestAccuracy: 1 },
      )
      assert.deepInclude(
        runs.find(({ experiment }) => experiment === "shuffled-labels"),
        { steps: 8000, firstHalf: null, firstThreshold: null, stopStep: null, finalTestAccuracy: 0.02 },
      )
    }),
  )

  it.effect("have the sizes of what was measured beside every coupling", () =>
    Effect.gen(function* () {
      const { coupling, multitask, sweeps, spectra } = yield* published
      for (const row of [...coupling, ...multitask]) assert.deepInclude(row, { windowRows: 4, directions: 3 })
      for (const row of spectra) assert.deepInclude(row, { windowRows: 4 })
      const sizes = (setting: string, value: string) => {
        const row = sweeps.find((one) => one.setting === setting && one.value === value)
        return [row?.windowRows, row?.directions]
      }
      assert.deepStrictEqual(sizes("window", "1"), [1, 1])
      assert.deepStrictEqual(sizes("window", "2"), [2, 2])
      assert.deepStrictEqual(sizes("fine-window", "10"), [10, 3])
      assert.deepStrictEqual(sizes("epsilon", "0"), [4, 3])
      assert.deepStrictEqual(sizes("rank", "1"), [4, 1])
    }),
  )

  it.effect("have peaks over all points and over full windows", () =>
    Effect.gen(function* () {
      const { sweeps } = yield* published
      const peaks = { peakMeanR: 212, peakMeanRFullWindows: 212 / 1.25 }
      assert.deepInclude(
        sweeps.find(({ setting, rows }) => setting === "noise" && rows === "gradient"),
        { ...peaks, peakR1: 212, peakR1FullWindows: 212 / 1.25 },
      )
      const ofRank = (k: number) => {
        const row = sweeps.find(({ setting, value }) => setting === "rank" && value === String(k))
        return [row?.peakMeanR ?? Number.NaN, row?.peakMeanRFullWindows ?? Number.NaN]
      }
      // R_k is R₁ = 212 here for every k.
      for (const k of [1, 3]) assertClose(ofRank(k), [212, 212 / 1.25], 1e-12)
    }),
  )

  it.effect("have every arm of every intervention, paired with its control", () =>
    Effect.gen(function* () {
      const { interventions } = yield* published
      for (const [operation, seed] of [
        ["add", 42],
        ["mul", 137],
      ] as const) {
        const arms = interventions.filter((row) => row.operation === operation && row.seed === seed)
        assert.sameMembers(
          arms.map(({ arm, version }) => `${arm} ${version}`),
          ["control null", ...settings.map(({ id, version }) => `${id} ${version}`)],
        )
        assert.deepInclude(
          arms.find(({ arm }) => arm === "frozen"),
          { stopStep: null, steps: 8000, version: "gradient" },
        )
      }
    }),
  )

  it.effect("have spectra of full windows alone", () =>
    Effect.gen(function* () {
      const { spectra } = yield* published
      const phases = new Map(spectra.map(({ phase, step }) => [phase, step]))
      assert.deepStrictEqual(
        [...phases],
        [
          ["initial", 0],
          ["middle", 1000],
          ["last", 2000],
        ],
      )
    }),
  )
})

describe("a stage that failed", () => {
  it.effect("leaves no rows, and takes none of the others with it", () =>
    Effect.gen(function* () {
      const fails = (label: string) =>
        label === "train add/137" || label.startsWith("measure-coupling mul/42 gradient backward")
      const [whole, without] = [yield* published, yield* tablesIn({ ...asPublished, fails }, smokeScale)]
      assert.deepStrictEqual(
        without.runs,
        whole.runs.filter(
          (row) => !(row.experiment === "single" && row.operation === "add" && row.seed === 137),
        ),
      )
      assert.isFalse(
        without.coupling.some(
          ({ operation, seed, rows, window }) =>
            operation === "mul" && seed === 42 && rows === "gradient" && window === "backward",
        ),
      )
      assert.isAbove(without.coupling.length, 0)
    }),
  )

  it.effect("everywhere leaves every table empty", () =>
    Effect.gen(function* () {
      const tables = yield* tablesIn({ ...asPublished, fails: () => true }, smokeScale)
      for (const name of tableNames) assert.deepStrictEqual([...tables[name]], [], name)
    }),
  )
})

describe("an output that cannot be read", () => {
  it.effect("is an error, and not an empty table", () =>
    Effect.gen(function* () {
      const resolve = resolving(asPublished)
      const lost = paper(smokeScale)
      const curve = artifact("f")
      const exit = yield* Effect.exit(
        gather(lost, (node) =>
          node.stage === "train"
            ? Effect.map(resolve(node), (output) => Object.assign({}, output, { curve }))
            : resolve(node),
        ).pipe(Effect.provide(idle())),
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(Exit.isFailure(exit) ? exit.cause : ""), /ffff/)
    }),
  )
})

describe("everything that the tables read", () => {
  for (const [name, config] of [
    ["paper", paperScale],
    ["smoke", smokeScale],
  ] as const) {
    it.effect(`is computed before, for the claims or as features, at the ${name} scale`, () =>
      Effect.gen(function* () {
        const whole = paper(config)
        const planned = new Set<Node<unknown>>([
          ...claims(whole).flatMap(upstreamOf),
          ...whole.features.map(({ features }) => features),
        ])
        const late: Array<string> = []
        const asked = (node: Node<unknown>) =>
          Effect.suspend(() => {
            if (!planned.has(node)) late.push(node.label)
            return Effect.fail(new Error("computes nothing"))
          })
        yield* Effect.provide(gather(whole, asked), idle())
        assert.deepStrictEqual(late, [])
      }),
    )
  }
})
