import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { upstreamOf } from "../../src/pipelines/Claim.ts"
import { claims } from "../../src/pipelines/claims.ts"
import { settings } from "../../src/pipelines/interventions.ts"
import type { Node } from "../../src/pipelines/Node.ts"
import { paper, paperScale, smokeScale, tabled } from "../../src/pipelines/paper.ts"
import { gather } from "../../src/report/evidence.ts"
import { tableNames } from "../../src/report/tables.ts"
import { assertClose } from "../model/close.ts"
import { artifact, idle } from "../pipelines/idle.ts"
import { asPublished, resolving, tablesIn } from "./madeUp.ts"

/** Of rows, those in which these fields have these values. */
const where = <Row extends object>(rows: ReadonlyArray<Row>, fields: Partial<Row>): ReadonlyArray<Row> =>
  rows.filter((row) => Object.entries(fields).every(([name, value]) => Reflect.get(row, name) === value))

const published = Effect.runSync(Effect.cached(tablesIn(asPublished, smokeScale)))

describe("the tables of a reproduction", () => {
  it.effect("have a run for each training, with when it grokked, and null where it never did", () =>
    Effect.gen(function* () {
      const { runs } = yield* published
      assert.sameMembers(
        runs.map(({ experiment, operation, seed }) => `${experiment} ${operation}/${seed}`),
        [
          ...["add/42", "mul/42"].map((name) => `single ${name}`),
          "non-grokking x3_xy/42",
          ...["baseline", "sgd", "no-decay", "decay-0.3", "cosine"].map((variant) => `${variant} add/42`),
          "shuffled-labels add/42",
          "multitask all/42",
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
      for (const row of [...coupling, ...multitask]) {
        assert.deepInclude(row, { windowRows: 20, directions: 3 })
      }
      for (const { rowCount } of coupling) assert.strictEqual(rowCount, 20)
      for (const row of spectra) assert.deepInclude(row, { windowRows: 20 })
      const sizes = (setting: string, value: string) => {
        const row = sweeps.find((one) => one.setting === setting && one.value === value)
        return [row?.windowRows, row?.directions]
      }
      assert.deepStrictEqual(sizes("window", "1"), [1, 1])
      assert.deepStrictEqual(sizes("window", "30"), [30, 3])
      assert.deepStrictEqual(sizes("fine-window", "40"), [40, 3])
      assert.deepStrictEqual(sizes("epsilon", "0"), [20, 3])
      assert.deepStrictEqual(sizes("rank", "1"), [20, 1])
    }),
  )

  it.effect("have R̄ at every point of every run: of each kind of rows, each placement, and each draw", () =>
    Effect.gen(function* () {
      const { coupling } = yield* published
      const ofRun = where(coupling, { experiment: "single", operation: "add", seed: 42 })
      assert.deepStrictEqual(
        [...new Set(ofRun.map(({ rows, window, draw }) => `${rows} ${window} ${draw}`))],
        [
          "update published 0",
          "update backward 0",
          "gradient published 0",
          "gradient backward 0",
          "random-logits published 0",
          "random-logits backward 0",
          "permuted-labels published 0",
          "permuted-labels backward 0",
          "random-logits published 1",
        ],
      )
      const gradients = where(ofRun, { rows: "gradient", window: "published" })
      assert.deepStrictEqual(
        gradients.map(({ step }) => step),
        [0, 1500, 3300],
      )
      const [first, , last] = gradients
      assertClose([first.meanR ?? 0, last.meanR ?? 0, last.R1 ?? 0], [0.4 * 212, 212, 1.2 * 212], 1e-12)
      for (const experiment of ["non-grokking", "baseline", "sgd", "shuffled-labels"]) {
        assert.isAbove(where(coupling, { experiment }).length, 0, experiment)
      }
    }),
  )

  it.effect("have every choice of the sensitivity analyses, for the null objective too", () =>
    Effect.gen(function* () {
      const { sweeps } = yield* published
      const kinds = (setting: string) =>
        [...new Set(where(sweeps, { setting }).map(({ rows }) => rows))].join()
      const all = "update,gradient,random-logits"
      for (const setting of ["baseline", "window", "epsilon", "centroid", "draws", "probe-seed"]) {
        assert.strictEqual(kinds(setting), all, setting)
      }
      assert.strictEqual(kinds("batch"), "gradient,random-logits")
      assert.strictEqual(kinds("fine-window"), "update,gradient")
      for (const setting of ["rank", "noise", "mixed-noise"]) assert.strictEqual(kinds(setting), "gradient")
      const last = (value: string) =>
        where(sweeps, { setting: "rank", value, step: 3300 })[0]?.meanR ?? Number.NaN
      // The mean of the first direction, and of the first three.
      assertClose([last("1"), last("3")], [1.2 * 212, 212], 1e-12)
    }),
  )

  it.effect("have both cadences of several operations, and the pairs that were trained", () =>
    Effect.gen(function* () {
      const { multitask } = yield* published
      const of = (stride: number, range: string) => [
        ...new Set(where(multitask, { operation: "add", stride, range }).map(({ estimator }) => estimator)),
      ]
      assert.includeMembers(of(2, "published"), [
        "update",
        "per-op-gradient",
        "aggregated-gradient",
        "random-logits",
        "permuted-labels",
      ])
      assert.includeMembers(of(1, "published"), ["update", "per-op-gradient"])
      assert.includeMembers(of(2, "trained"), ["update", "per-op-gradient"])
    }),
  )

  it.effect("have how directions differ, what energy they hold, and how centroids agree", () =>
    Effect.gen(function* () {
      const { alignment, energy, centroids } = yield* published
      assert.sameMembers(
        [...new Set(alignment.map(({ between }) => between))],
        ["mixed batch and whole table", "training batch and training set", "mixed batch and training set"],
      )
      for (const { directionalVariance } of alignment) assert.closeTo(directionalVariance ?? 0, 0.04, 1e-12)
      assert.deepInclude(where(energy, { operation: "add", rows: "update", step: 3300 })[0], {
        share1: 0.8,
        share3: 0.94,
      })
      assert.deepInclude(where(centroids, { operation: "add" })[0], {
        cosine: 0.7,
        correctLogit: 12,
        logitSum: 15,
      })
    }),
  )

  it.effect("have what single examples' gradients have in common with their mean, and joint waves", () =>
    Effect.gen(function* () {
      const tables = yield* published
      assert.deepStrictEqual(
        tables["per-example"].map(({ cosineToMean }) => cosineToMean),
        [0.1, 0.2, 0.3],
      )
      assert.deepInclude(where(tables["joint-fourier"], { operation: "add", step: 3300, pc: 1 })[0], {
        family: "a+b",
        r2: 0.95,
      })
    }),
  )

  it.effect("have every arm of every intervention, paired with its control", () =>
    Effect.gen(function* () {
      const { interventions } = yield* published
      assert.isAbove(interventions.length, 0)
      assert.sameMembers(
        where(interventions, { operation: "add", seed: 42 }).map(({ arm, version }) => `${arm} ${version}`),
        ["control null", ...settings.map(({ id, version }) => `${id} ${version}`)],
      )
      assert.deepInclude(where(interventions, { arm: "frozen" })[0], {
        stopStep: null,
        steps: 8000,
        version: "gradient",
      })
    }),
  )

  it.effect("have the energy that an arm removes, the mean of each step's 1 − (norm ratio)²", () =>
    Effect.gen(function* () {
      const { interventions } = yield* published
      assert.closeTo(where(interventions, { arm: "remove-sed" })[0]?.removedEnergy ?? 0, 1 - 0.85 ** 2, 1e-12)
      assert.isNull(where(interventions, { arm: "control" })[0]?.removedEnergy)
    }),
  )

  it.effect("have spectra of the first, middle and last window", () =>
    Effect.gen(function* () {
      const { spectra } = yield* published
      const phases = new Map(spectra.map(({ phase, step }) => [phase, step]))
      assert.deepStrictEqual(
        [...phases],
        [
          ["initial", 0],
          ["middle", 1500],
          ["last", 3300],
        ],
      )
    }),
  )
})

describe("a stage that failed", () => {
  it.effect("leaves no rows, and takes none of the others with it", () =>
    Effect.gen(function* () {
      const fails = (label: string) =>
        label === "train x3_xy/42" || label.startsWith("measure-coupling mul/42 gradient backward")
      const [whole, without] = [yield* published, yield* tablesIn({ ...asPublished, fails }, smokeScale)]
      assert.deepStrictEqual(
        without.runs,
        whole.runs.filter((row) => row.experiment !== "non-grokking"),
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

describe("what the tables read", () => {
  for (const [name, config] of [
    ["paper", paperScale],
    ["smoke", smokeScale],
  ] as const) {
    it.effect(`is computed before, for claims or for tables, at the ${name} scale`, () =>
      Effect.gen(function* () {
        const whole = paper(config)
        const planned = new Set<Node<unknown>>([...claims(whole).flatMap(upstreamOf), ...tabled(whole)])
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
