import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimRow, estimate, RATIO, STEPS } from "../../src/pipelines/Claim.ts"
import type { Cell, Comparison } from "../../src/pipelines/comparison.ts"
import { smokeScale } from "../../src/pipelines/paper.ts"
import { figures } from "../../src/report/figures.ts"
import type { Tables } from "../../src/report/tables.ts"
import { asPublished, rowsIn, tablesIn, varied } from "./madeUp.ts"

const EVIDENCE = "smoke: not evidence; seeds 42"

const made = Effect.runSync(
  Effect.cached(
    Effect.gen(function* () {
      return {
        tables: yield* tablesIn(varied(asPublished), smokeScale),
        claims: yield* rowsIn(varied(asPublished), smokeScale),
      }
    }),
  ),
)

/** The gap by one field, with what the seeds took to grok. */
const ablation = (name: string, field: string, cells: ReadonlyArray<Cell>): Comparison => ({
  name,
  description: "made up",
  scale: "smoke",
  evidence: EVIDENCE,
  seeds: [42, 137],
  axes: [{ field, values: [] }],
  metrics: [{ id: "gradient-over-update", definition: "gap", unit: RATIO }],
  cells,
  waived: {},
  config: {},
})

const cell = (
  settings: Cell["settings"],
  gap: number,
  grokSteps: ReadonlyArray<number | null> = [],
): Cell => ({
  id: JSON.stringify(settings),
  settings,
  isBase: settings["train.weightDecay"] === 1 && settings["train.learningRate"] === 1e-3,
  measured: {
    "gradient-over-update": {
      ...estimate(RATIO, [
        { seed: 42, value: gap },
        { seed: 137, value: 1.2 * gap },
      ]),
      beside: {},
    },
    "grok-step": {
      ...estimate(
        STEPS,
        grokSteps.map((value, seed) => ({ seed, value })),
      ),
      beside: {},
    },
  },
  failed: {},
})

const ablations = [
  ablation("weight-decay", "train.weightDecay", [
    cell({ "train.weightDecay": 0.1, "train.learningRate": 1e-3 }, 3, [null, 5000]),
    cell({ "train.weightDecay": 0.1, "train.learningRate": 3e-3 }, 999, [3000, 3000]),
    cell({ "train.weightDecay": 1, "train.learningRate": 1e-3 }, 30, [3000, 3000]),
  ]),
  ablation("blocks", "block", [cell({ block: "attention" }, 30), cell({ block: "mlp" }, 90)]),
]

const drawn = Effect.runSync(
  Effect.cached(Effect.map(made, ({ tables, claims }) => figures(tables, claims, EVIDENCE, ablations))),
)

const nothing: Tables = {
  runs: [],
  accuracy: [],
  coupling: [],
  sweeps: [],
  multitask: [],
  alignment: [],
  energy: [],
  interventions: [],
  "intervention-curves": [],
  spectra: [],
  "per-example": [],
  "centroid-spectrum": [],
  "joint-fourier": [],
  centroids: [],
  harmonics: [],
}

/** The caption and title of a figure. */
const words = (svg: string | undefined) =>
  /<desc>(.*?)<\/desc>/.exec(svg ?? "")?.[1].replaceAll("&#160;", " ") ?? ""

const names = [
  "overview",
  "overview-narrow",
  "coupling-published",
  "coupling-backward",
  "peaks",
  "window",
  "epsilon",
  "rank",
  "noise",
  "multitask",
  "interventions-add",
  "speedups",
  "spectra",
  "fourier-add",
  "fourier-mul",
  "per-example",
]

describe("the figures of a reproduction", () => {
  it.effect("are drawn for every table that has a figure, in the order of the story", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual([...(yield* drawn).keys()], names)
    }),
  )

  it.effect("are the same bytes for the same tables", () =>
    Effect.gen(function* () {
      const { tables, claims } = yield* made
      for (const [name, svg] of figures(tables, claims, EVIDENCE, ablations)) {
        assert.isTrue(svg === (yield* drawn).get(name), name)
      }
    }),
  )

  it.effect("say what their numbers are worth, and print nothing that is no number", () =>
    Effect.gen(function* () {
      for (const [name, svg] of yield* drawn) {
        assert.include(words(svg), EVIDENCE, name)
        assert.notMatch(svg, /Infinity|NaN|undefined|\bnull\b/, name)
      }
    }),
  )

  it.effect("say the sizes that were measured, not the paper's", () =>
    Effect.gen(function* () {
      const figure = yield* drawn
      for (const name of ["overview", "coupling-published", "peaks", "noise", "multitask", "epsilon"]) {
        assert.match(words(figure.get(name)), /W = 20, K = 3/, name)
      }
      const { tables, claims } = yield* made
      const short = tables.coupling.map((row) => ({ ...row, windowRows: 7, directions: 2 }))
      const other = figures({ ...tables, coupling: short }, claims, EVIDENCE, [])
      assert.match(words(other.get("coupling-published")), /W = 7, K = 2/)
    }),
  )

  it("without tables and claims are none", () => {
    assert.strictEqual(figures(nothing, [], EVIDENCE, ablations).size, 0)
  })

  it.effect("without claims lack what claims alone know", () =>
    Effect.gen(function* () {
      const { tables } = yield* made
      assert.deepStrictEqual(
        [...figures(tables, [], EVIDENCE, []).keys()],
        names.filter((name) => name !== "peaks"),
      )
    }),
  )

  it.effect("do without a table that others go with", () =>
    Effect.gen(function* () {
      const { tables, claims } = yield* made
      for (const name of ["coupling", "accuracy", "interventions"] as const) {
        const svgs = figures({ ...tables, [name]: [] }, claims, EVIDENCE, ablations)
        for (const svg of svgs.values()) assert.notMatch(svg, /Infinity|NaN|undefined/, name)
      }
    }),
  )

  it.effect("do without values where nothing was measured", () =>
    Effect.gen(function* () {
      const world = { ...asPublished, peak: () => null, grokked: () => null }
      const tables = yield* tablesIn(world, smokeScale)
      const svgs = figures(tables, yield* rowsIn(world, smokeScale), EVIDENCE, ablations)
      assert.deepStrictEqual(
        [...svgs.keys()].filter((name) => /overview|coupling|peaks|window|multitask/.test(name)),
        [],
      )
      for (const [name, svg] of svgs) assert.notMatch(svg, /Infinity|NaN|undefined/, name)
    }),
  )
})

/** The labels of a figure. */
const labels = (svg: string | undefined): ReadonlyArray<string> =>
  [...(svg ?? "").matchAll(/<text[^>]*>(.*?)<\/text>/g)].map(([, text]) =>
    text.replace(/<[^>]+>/g, " ").trim(),
  )

describe("the overview", () => {
  const overviewOf = Effect.fnUntraced(function* (changes: Partial<Tables>, from = ablations) {
    const { tables, claims } = yield* made
    return figures({ ...tables, ...changes }, claims, EVIDENCE, from).get("overview")
  })

  it.effect(
    "has the coupling of gradients, of the null objective and of updates, and of runs that never grok",
    () =>
      Effect.gen(function* () {
        const found = labels((yield* drawn).get("overview")).join(" | ")
        for (const name of ["gradients", "random logits", "updates", "never\u00a0grokking", "grokking"]) {
          assert.include(found.replaceAll("&#160;", "\u00a0"), name)
        }
        assert.notInclude(found, "permuted")
      }),
  )

  it.effect("has nine arms, and says which never grok instead of leaving them out", () =>
    Effect.gen(function* () {
      const found = labels(yield* overviewOf({}))
      for (const name of [
        "natural run",
        "keep SED, published buffer",
        "keep SED, current gradients",
        "keep random",
        "keep random, natural norm",
        "noise",
        "decay only",
        "frozen (rank 0)",
        "remove SED",
      ]) {
        assert.include(found, name)
      }
      // In this world noise, decay only and frozen never do.
      assert.strictEqual(found.filter((label) => label === "never (1 of 1)").length, 3)
    }),
  )

  it.effect(
    "has the gap by decay at the base's other settings, hollow where a seed did not grok, and by block",
    () =>
      Effect.gen(function* () {
        const found = labels(yield* overviewOf({}))
        assert.includeMembers([...found], ["0.1", "1", "attention", "mlp"])
        assert.strictEqual(found.filter((label) => label === "0.1").length, 1)
      }),
  )

  it.effect("has fewer panels, in their order, where ablations or interventions were not run", () =>
    Effect.gen(function* () {
      const letters = (svg: string | undefined) =>
        labels(svg).flatMap((label) => /^([a-d])\s\S/u.exec(label)?.[1] ?? [])
      assert.deepStrictEqual(letters(yield* overviewOf({})), ["a", "b", "c", "d"])
      assert.deepStrictEqual(letters(yield* overviewOf({}, [])), ["a", "b"])
      assert.deepStrictEqual(letters(yield* overviewOf({ interventions: [] })), ["a", "b", "c"])
      assert.match(words(yield* overviewOf({ interventions: [] })), /b, c: add; peak of gradients/)
    }),
  )

  it.effect("is the same on a narrow screen, one panel below the other", () =>
    Effect.gen(function* () {
      const [wide, narrow] = ["overview", "overview-narrow"].map((name) =>
        Effect.map(drawn, (all) => all.get(name)),
      )
      assert.sameMembers([...labels(yield* narrow)].slice(2), [...labels(yield* wide)].slice(1))
      assert.match((yield* narrow) ?? "", /<svg[^>]* width="458"/)
    }),
  )
})

/** A run of one seed under each definition. */
const arm = (seed: number, name: string, stopStep: number | null): Tables["interventions"][number] => ({
  operation: "add",
  seed,
  arm: name,
  version: name === "control" ? null : "gradient",
  steps: stopStep ?? 8000,
  firstHalf: stopStep,
  firstThreshold: stopStep,
  stopStep,
  normRatio: null,
  cosine: null,
  energyShare: null,
  removedEnergy: null,
})

const speedups = (
  interventions: Tables["interventions"],
  claims: ReadonlyArray<ClaimRow> = [],
): string | undefined => figures({ ...nothing, interventions }, claims, EVIDENCE, []).get("speedups")

describe("the figure of speed-ups", () => {
  const controls = [arm(42, "control", 3300), arm(137, "control", 3300)]

  it("leaves an arm that never grokked out of the mean, marks it, and says so", () => {
    const svg = speedups([...controls, arm(42, "keep-sed", 1500), arm(137, "keep-sed", null)])
    assert.match(words(svg), /n = 1\b/)
    assert.match(
      words(svg),
      /had not grokked at the cap: its speed-up is below the mark, and it is in no mean/,
    )
  })

  it("draws an arm that never grokked in any seed", () => {
    const svg = speedups([...controls, arm(42, "frozen", null), arm(137, "frozen", null)])
    assert.include(svg ?? "", "frozen")
    assert.match(words(svg), /n = 0/)
    assert.match(words(svg), /had not grokked at the cap/)
  })

  it("marks a seed whose natural run never grokked from the other side", () => {
    const svg = speedups([arm(42, "control", null), arm(42, "keep-sed", 1500)])
    assert.match(words(svg), /a seed in which the control had not: above the mark/)
  })

  it("takes a control that did not run for no control, not for one that never grokked", () => {
    const svg = speedups([controls[0], arm(42, "keep-sed", 1500), arm(137, "keep-sed", 1500)])
    assert.match(words(svg), /n = 1\b/)
    assert.notMatch(words(svg), /a seed in which/)
    assert.notMatch(svg ?? "", /Infinity|NaN/)
  })

  it.effect("crosses the published speed-ups under the stop rule alone", () =>
    Effect.gen(function* () {
      const { claims } = yield* made
      const svg = speedups([...controls, arm(42, "keep-sed", 1500), arm(42, "frozen", 1500)], claims)
      assert.match(words(svg), /Grey crosses: published values/)
      assert.notMatch(words(speedups([...controls, arm(42, "frozen", 1500)], claims)), /Grey crosses/)
    }),
  )
})

describe("the heat map of waves", () => {
  it.effect("leaves out a component whose scores are constant, and does not call it a fit of 0", () =>
    Effect.gen(function* () {
      const svg = (yield* drawn).get("fourier-add") ?? ""
      assert.include(svg, "PC1")
      assert.notInclude(svg, "PC2")
    }),
  )
})
