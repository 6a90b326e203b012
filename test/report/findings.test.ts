import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ClaimRow } from "../../src/pipelines/Claim.ts"
import { paperScale } from "../../src/pipelines/paper.ts"
import { findings } from "../../src/report/findings.ts"
import { asFeared, asPublished, rowsIn, type World } from "./madeUp.ts"

/** What is found in a world, paragraph by paragraph. */
const paragraphs = (rows: ReadonlyArray<ClaimRow>) => findings(rows).split("\n\n")

const find = (rows: ReadonlyArray<ClaimRow>, title: string): string =>
  paragraphs(rows).find((paragraph) => paragraph.startsWith(`**${title}`)) ?? ""

const published = Effect.runSync(Effect.cached(rowsIn(asPublished, paperScale)))
const feared = Effect.runSync(Effect.cached(rowsIn(asFeared, paperScale)))

const inWorld = (world: World) =>
  world === asPublished ? published : world === asFeared ? feared : rowsIn(world, paperScale)

const titles = (rows: ReadonlyArray<ClaimRow>) =>
  paragraphs(rows).map((paragraph) => /^\*\*(.+?)\.\*\*/.exec(paragraph)?.[1])

describe("findings", () => {
  it.effect("are six paragraphs", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(titles(yield* inWorld(asPublished)), [
        "The gap",
        "What the coupling shows",
        "Multitask",
        "Interventions",
        "The rebuttal's assertions",
        "Another optimiser, decay, schedule",
      ])
    }),
  )

  it.effect("begin with a control that contradicts the reading of the numbers", () =>
    Effect.gen(function* () {
      const rows = yield* inWorld(asFeared)
      assert.deepStrictEqual(titles(rows).slice(0, 2), ["What the coupling shows", "The gap"])
      assert.match(paragraphs(rows)[0], /still couple strongly.*no evidence of features that generalise/)
    }),
  )

  it("of nothing are nothing", () => {
    assert.strictEqual(findings([]), "")
  })

  it.effect("of claims that were not tested are nothing", () =>
    Effect.gen(function* () {
      const untested = (yield* inWorld(asPublished)).map(
        (row): ClaimRow => ({
          ...row,
          verdict: "not-tested",
          measured: { ...row.measured, value: null, low: null, high: null, n: 0, perSeed: [] },
          beside: {},
        }),
      )
      assert.strictEqual(findings(untested), "")
    }),
  )
})

describe("the gap", () => {
  it.effect("has the measured and the published numbers, and the verdicts", () =>
    Effect.gen(function* () {
      const text = find(yield* inWorld(asPublished), "The gap")
      assert.match(text, /R̄ = 212 over the operations \(published 100 – 330\)/)
      assert.match(text, /update directions at 3\.2 – 9 \(published 3 – 9\)/)
      // 212 / 9 and 212 / 3.2.
      assert.match(text, /23\.6 – 66\.2 times as much in the same run \(published 10 – 100; reproduced\)/)
    }),
  )

  it.effect("says what cut-off windows add, and that they add nothing where they do not", () =>
    Effect.gen(function* () {
      assert.match(
        find(yield* inWorld(asFeared), "The gap"),
        /raise a gradient peak by a factor of up to 2, an update peak by one of up to 2/,
      )
      assert.match(find(yield* inWorld({ ...asPublished, cut: 1 }), "The gap"), /make no difference/)
    }),
  )

  it.effect("names the operations whose runs never grokked", () =>
    Effect.gen(function* () {
      assert.notMatch(find(yield* inWorld(asPublished), "The gap"), /did not grok/)
      const rows = yield* inWorld({
        ...asPublished,
        grokked: (label) => (label === "train mul/137" ? null : asPublished.grokked(label)),
      })
      assert.match(
        find(rows, "The gap"),
        /Some of these runs did not grok in the steps given: mul in 1 of 3\./,
      )
    }),
  )

  it.effect("counts verdicts where operations differ", () =>
    Effect.gen(function* () {
      const rows = yield* inWorld({
        ...asPublished,
        peak: (label) =>
          /mul\//.test(label) && !/ update\b/.test(label) ? 9 : (asPublished.peak(label) ?? null),
      })
      assert.match(find(rows, "The gap"), /reproduced for 3, contradicted for 1/)
    }),
  )
})

describe("the controls", () => {
  it.effect("support the reading where they couple less", () =>
    Effect.gen(function* () {
      const text = find(yield* inWorld(asPublished), "What the coupling shows")
      assert.match(text, /couple less .*shuffled-labels 5 n=1.*as the paper's reading requires/)
      assert.notMatch(text, /no evidence/)
    }),
  )

  it.effect("name the one that is high where others are not", () =>
    Effect.gen(function* () {
      const text = find(
        yield* inWorld({
          ...asPublished,
          peak: (label) => (/shuffled/.test(label) ? 150 : asPublished.peak(label)),
        }),
        "What the coupling shows",
      )
      assert.match(text, /still couple strongly in shuffled-labels \(peaks: /)
    }),
  )

  it.effect("leave out a control that generalised after all", () =>
    Effect.gen(function* () {
      const text = find(
        yield* inWorld({
          ...asPublished,
          grokked: (label) => (/x3_xy/.test(label) ? 3000 : asPublished.grokked(label)),
        }),
        "What the coupling shows",
      )
      assert.match(text, /x2_xy_y2/)
      assert.notMatch(text, /x3_xy/)
    }),
  )
})

describe("the interventions", () => {
  it.effect("survive frozen attention that never groks, which is said in words", () =>
    Effect.gen(function* () {
      const text = find(yield* inWorld(asPublished), "Interventions")
      assert.match(text, /speeds grokking up 2\.2× .*n=3 \(published 2\.3×\)/)
      assert.match(text, /missing control: never in 3 of 3\..*survives it: rank 3 does what rank 0 does not/)
    }),
  )

  it.effect("do not survive frozen attention that groks as soon", () =>
    Effect.gen(function* () {
      const text = find(yield* inWorld(asFeared), "Interventions")
      assert.match(
        text,
        /missing control: 2\.28× .*does not survive it: attention need not be trained at all/,
      )
    }),
  )

  it.effect("do not claim a speed-up where there is none", () =>
    Effect.gen(function* () {
      const slower = yield* inWorld({
        ...asPublished,
        grokked: (label) => (label.startsWith("intervene") ? 6600 : 3300),
      })
      assert.match(find(slower, "Interventions"), /delays grokking: 0\.5×/)
      const same = yield* inWorld({ ...asPublished, grokked: () => 3300 })
      assert.match(find(same, "Interventions"), /leaves the time of grokking as it is: 1×/)
    }),
  )

  it.effect("say that rank 3 did not grok where it did not", () =>
    Effect.gen(function* () {
      const text = find(
        yield* inWorld({
          ...asPublished,
          grokked: (label) => (/ keep-random gradient/.test(label) ? null : asPublished.grokked(label)),
        }),
        "Interventions",
      )
      assert.match(text, /does not always let a network grok: never in 3 of 3/)
      assert.match(text, /does not survive: rank-3 attention does not always grok/)
    }),
  )
})

describe("the multitask runs", () => {
  it.effect("conclude by the control that was not published", () =>
    Effect.gen(function* () {
      const hidden = find(yield* inWorld(asPublished), "Multitask")
      assert.match(
        hidden,
        /peak at 30 \(published 21\.8 – 44\.9\).*summed loss.*peak at 1, so aggregation does/,
      )
      const visible = find(yield* inWorld(asFeared), "Multitask")
      assert.match(visible, /peak at 150, so aggregation is not what hides/)
    }),
  )
})

describe("the rebuttal", () => {
  it.effect("is listed with its verdicts, and the measured norm ratio", () =>
    Effect.gen(function* () {
      const text = find(yield* inWorld(asPublished), "The rebuttal's assertions")
      assert.match(text, /cosine reproduced/)
      assert.match(text, /norm-ratio contradicted/)
      assert.match(text, /for keep-sed 0\.85 /)
    }),
  )
})

describe("other optimisers", () => {
  it.effect("are listed with full windows, and with what did not grok", () =>
    Effect.gen(function* () {
      const rows = yield* inWorld({
        ...asPublished,
        grokked: (label) => (/ sgd$/.test(label) ? null : asPublished.grokked(label)),
      })
      const text = find(rows, "Another optimiser")
      assert.match(text, /sgd 23\.6 n=1 \(full windows 23\.6 n=1; did not grok\)/)
      assert.match(text, /cosine 23\.6 n=1 \(full windows 23\.6 n=1\)/)
      assert.match(text, /At least tenfold: holds in all 4 cases/)
    }),
  )
})
