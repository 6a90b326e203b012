import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ClaimRow } from "../../src/pipelines/Claim.ts"
import { smokeScale } from "../../src/pipelines/paper.ts"
import { figures } from "../../src/report/figures.ts"
import type { Tables } from "../../src/report/tables.ts"
import { asPublished, rowsIn, tablesIn } from "./madeUp.ts"

const EVIDENCE = "smoke: not evidence; seeds 42, 137"

const made = Effect.runSync(
  Effect.cached(
    Effect.gen(function* () {
      return {
        tables: yield* tablesIn(asPublished, smokeScale),
        claims: yield* rowsIn(asPublished, smokeScale),
      }
    }),
  ),
)
const drawn = Effect.runSync(
  Effect.cached(Effect.map(made, ({ tables, claims }) => figures(tables, claims, EVIDENCE))),
)

const nothing: Tables = {
  runs: [],
  accuracy: [],
  coupling: [],
  sweeps: [],
  multitask: [],
  interventions: [],
  "intervention-curves": [],
  spectra: [],
  "per-example": [],
  "centroid-spectrum": [],
  harmonics: [],
}

/** The caption and title of a figure. */
const words = (svg: string | undefined) =>
  /<desc>(.*?)<\/desc>/.exec(svg ?? "")?.[1].replaceAll("&#160;", " ") ?? ""

const names = [
  "coupling-forward",
  "coupling-backward",
  "peaks",
  "window",
  "epsilon",
  "rank",
  "noise",
  "multitask",
  "interventions-add",
  "interventions-mul",
  "speedups",
  "spectra",
  "fourier-add",
  "fourier-mul",
  "per-example",
]

describe("the figures of a reproduction", () => {
  it.effect("are drawn for every table that has a figure", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual([...(yield* drawn).keys()], names)
    }),
  )

  it.effect("are the same bytes for the same tables", () =>
    Effect.gen(function* () {
      const { tables, claims } = yield* made
      for (const [name, svg] of figures(tables, claims, EVIDENCE)) {
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
      for (const name of ["coupling-forward", "peaks", "noise", "multitask"]) {
        assert.match(words(figure.get(name)), /W = 4, K = 3/, name)
      }
      assert.match(words(figure.get("epsilon")), /W = 4, K = 1/)
      for (const svg of figure.values()) assert.notMatch(words(svg), /W = 20|8000/)
    }),
  )

  it("without tables and claims are none", () => {
    assert.strictEqual(figures(nothing, [], EVIDENCE).size, 0)
  })

  it.effect("without claims lack what claims alone know", () =>
    Effect.gen(function* () {
      const { tables } = yield* made
      assert.deepStrictEqual(
        [...figures(tables, [], EVIDENCE).keys()],
        names.filter((name) => name !== "peaks"),
      )
    }),
  )

  it.effect("do without a table that others go with", () =>
    Effect.gen(function* () {
      const { tables, claims } = yield* made
      for (const name of ["coupling", "accuracy", "interventions"] as const) {
        const svgs = figures({ ...tables, [name]: [] }, claims, EVIDENCE)
        for (const svg of svgs.values()) assert.notMatch(svg, /Infinity|NaN|undefined/, name)
      }
    }),
  )

  it.effect("do without values where nothing was measured", () =>
    Effect.gen(function* () {
      const world = { ...asPublished, peak: () => null, grokked: () => null }
      const tables = yield* tablesIn(world, smokeScale)
      const svgs = figures(tables, yield* rowsIn(world, smokeScale), EVIDENCE)
      assert.notIncludeMembers([...svgs.keys()], ["coupling-forward", "peaks", "window", "multitask"])
      for (const [name, svg] of svgs) assert.notMatch(svg, /Infinity|NaN|undefined/, name)
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
})

const speedups = (
  interventions: Tables["interventions"],
  claims: ReadonlyArray<ClaimRow> = [],
): string | undefined => figures({ ...nothing, interventions }, claims, EVIDENCE).get("speedups")

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
