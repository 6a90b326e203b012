import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ClaimRow } from "../../src/pipelines/Claim.ts"
import { paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import { answer, findings } from "../../src/report/findings.ts"
import { asFeared, asPublished, rowsIn, type World } from "./madeUp.ts"

type Rows = ReadonlyArray<ClaimRow>

/** What is found in a world, paragraph by paragraph. */
const paragraphs = (rows: Rows) => findings(rows).split("\n\n")

const titles = (rows: Rows) => paragraphs(rows).map((paragraph) => /^\*\*(.+?)\.\*\*/.exec(paragraph)?.[1])

const find = (rows: Rows, title: string): string =>
  paragraphs(rows).find((paragraph) => paragraph.startsWith(`**${title}`)) ?? ""

const published = Effect.runSync(Effect.cached(rowsIn(asPublished, paperScale)))
const feared = Effect.runSync(Effect.cached(rowsIn(asFeared, paperScale)))

/** The published world, but for some peaks or steps. */
const except = (changes: {
  readonly peak?: (label: string) => number | null | undefined
  readonly grokked?: (label: string) => number | null | undefined
}) => {
  const other = (name: "peak" | "grokked") => (label: string) => {
    const changed = changes[name]?.(label)
    return changed === undefined ? asPublished[name](label) : changed
  }
  const world: World = { ...asPublished, peak: other("peak"), grokked: other("grokked") }
  return rowsIn(world, paperScale)
}

describe("findings", () => {
  it.effect("are sentences about networks, those that bear on the reading first", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(titles(yield* feared), [
        "R̄ of gradients is high before a network groks",
        "A gradient that knows no label couples, too",
        "Gradients do couple more than updates",
        "R̄ does not single out directions",
        "Holding attention speeds grokking up",
        "With several operations at once, updates couple more than random directions",
        "Another optimiser, decay or schedule leaves the gap as it is",
        "What a reviewer's simulated rebuttal asserts",
      ])
    }),
  )

  it.effect("have other titles where the world is as published", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(titles(yield* published), [
        "R̄ of gradients is high before a network groks",
        "Gradients of the task couple more than a gradient that knows no label",
        "Gradients do couple more than updates",
        "A batch gives nearly the directions of all pairs",
        "Holding attention speeds grokking up",
        "With several operations at once, updates couple no better than random directions",
        "Another optimiser, decay or schedule leaves the gap as it is",
        "What a reviewer's simulated rebuttal asserts",
      ])
    }),
  )

  it("of nothing are nothing", () => {
    assert.strictEqual(findings([]), "")
  })

  it.effect("of claims that were not measured are nothing", () =>
    Effect.gen(function* () {
      const rows = yield* rowsIn({ ...asPublished, peak: () => null, grokked: () => null }, paperScale)
      const unmeasured = rows.filter(({ measured }) => measured.value === null)
      assert.isAbove(unmeasured.length, 20)
      assert.strictEqual(findings(unmeasured), "")
    }),
  )

  it.effect("name no verdict where nothing is judged", () =>
    Effect.gen(function* () {
      const text = findings(yield* rowsIn(asPublished, smokeScale))
      assert.include(text, "R̄ of gradients is high")
      assert.notMatch(text, /\((reproduced|partly|not-reproduced|not-tested)\)/)
    }),
  )
})

describe("memorisation", () => {
  it.effect("has R̄ before and after grokking, and how much it rises", () =>
    Effect.gen(function* () {
      const text = find(yield* published, "R̄ of gradients is high")
      // Of 212: the points before grokking have 0.4 and 0.8 of it, the one after it all.
      assert.match(text, /While it only memorises R̄ is 127 .*n=12/)
      assert.match(text, /at grokking it rises 1\.67-fold \(212 .*n=12 afterwards\)/)
    }),
  )

  it.effect("says that R̄ is high without grokking, too, only where it is", () =>
    Effect.gen(function* () {
      assert.match(
        find(yield* feared, "R̄ of gradients is high"),
        /high also in networks that never generalise .*x3_xy, never groks: 150.*no evidence of features/,
      )
      const text = find(yield* published, "R̄ of gradients is high")
      assert.match(text, /Networks that never generalise reach less .*shuffled labels: 5 n=1/)
      assert.notMatch(text, /no evidence/)
    }),
  )
})

describe("the null objective", () => {
  it.effect("tells what of R̄ any gradient reaches, and by which limits it is judged", () =>
    Effect.gen(function* () {
      const text = find(yield* feared, "A gradient that knows no label couples")
      assert.match(text, /reaches 1\/1 of it: ρ = 1 .*supported above 2, refuted below 1\.25/)
      assert.include(text, "a property of gradients, not of the task")
    }),
  )

  it.effect("tells where gradients of the task couple more", () =>
    Effect.gen(function* () {
      const text = find(yield* published, "Gradients of the task couple more")
      // 212 / 5, and 30 / 5 with several operations at once.
      assert.match(text, /ρ = 42\.4 .*n=12 .*with several operations at once ρ is 6 .*n=3/)
      assert.include(text, "do couple more than any gradient does")
    }),
  )

  it.effect("does not decide between the limits", () =>
    Effect.gen(function* () {
      const rows = yield* except({
        peak: (label) => (label.includes("random-logits") ? 212 / 1.6 : undefined),
      })
      assert.match(find(rows, "A gradient that knows no label"), /ρ = 1\.6 .*the rest does not decide/)
    }),
  )
})

describe("the gap", () => {
  it.effect("has peaks and time means, the published range, and how operations differ", () =>
    Effect.gen(function* () {
      const text = find(yield* published, "Gradients do couple more than updates")
      // Geometric mean of 212 / 9 and thrice 212 / 3.2.
      assert.match(text, /is 51\.2 .*n=12 by peaks \(published 10 – 100\) and 51\.2 .*by time means/)
      assert.match(text, /peaks of gradients differ by a factor of 1 .*those of updates by 2\.81 /)
    }),
  )

  it.effect("is told the other way round where updates couple more", () =>
    Effect.gen(function* () {
      const rows = yield* except({
        peak: (label) => (/\d gradient (published|backward)$/.test(label) ? 2 : undefined),
      })
      assert.match(find(rows, "Gradients couple no more than updates"), /updates is 0\.48/)
    }),
  )
})

describe("directions of other batches", () => {
  it.effect("that differ, and couple equally, say that R̄ singles out none", () =>
    Effect.gen(function* () {
      const text = find(yield* feared, "R̄ does not single out directions")
      assert.match(text, /differ by 90 % \(n = 3\); yet the latter couple about equally: 150 .* and 150 /)
    }),
  )

  it.effect("that differ, and couple less, say that only", () =>
    Effect.gen(function* () {
      const lower = {
        ...asFeared,
        peak: (label: string) => (label.includes("mixed-full") ? 20 : asFeared.peak(label)),
      }
      const text = find(yield* rowsIn(lower, paperScale), "Another batch gives other directions")
      assert.match(text, /; the latter couple lower: 20 .* and 150 /)
    }),
  )
})

describe("the interventions", () => {
  it.effect("survive attention that never moves and never groks, which is said in words", () =>
    Effect.gen(function* () {
      const text = find(yield* published, "Holding attention speeds grokking up")
      assert.match(text, /Three random directions: 2\.2× .*n=6 \(published 2\.3×\)/)
      assert.match(text, /not published: never in 6 of 6\. Three directions do what none does not\./)
    }),
  )

  it.effect("do not survive attention that never moves and groks as soon", () =>
    Effect.gen(function* () {
      const text = find(yield* feared, "Holding attention")
      assert.match(text, /not published: 2\.28× .*Attention need not learn at all here/)
    }),
  )

  it.effect("set the directions of current gradients against the published buffer", () =>
    Effect.gen(function* () {
      assert.match(
        find(yield* published, "Holding attention"),
        /its current gradients comes to 1× .*, against 2\.2× .*with the published buffer/,
      )
    }),
  )

  it.effect("do not claim a speed-up where there is none", () =>
    Effect.gen(function* () {
      const slower = yield* except({ grokked: (label) => (label.startsWith("intervene") ? 6600 : undefined) })
      assert.match(find(slower, "Holding attention delays grokking"), /0\.5×/)
      const same = yield* except({ grokked: () => 3300 })
      assert.match(find(same, "Holding attention leaves the time of grokking as it is"), /1×/)
    }),
  )

  it.effect("say that three directions did not grok where they did not", () =>
    Effect.gen(function* () {
      const rows = yield* except({
        grokked: (label) => (/ keep-random gradient/.test(label) ? null : undefined),
      })
      const text = find(rows, "Holding attention delays grokking")
      assert.match(text, /Three random directions: never in 6 of 6/)
      assert.notInclude(text, "do what none does not")
    }),
  )
})

describe("several operations at once", () => {
  it.effect("tell whether summing the losses hides the coupling", () =>
    Effect.gen(function* () {
      assert.match(
        find(yield* published, "With several operations at once"),
        /time mean is 0\.44 .*at the published cadence, 0\.44 .*every 25 steps.*summing the losses costs coupling/,
      )
      assert.match(find(yield* feared, "With several operations at once"), /summing the losses hides nothing/)
    }),
  )

  it.effect("tell where the answer depends on how often one looks", () =>
    Effect.gen(function* () {
      const rows = yield* except({
        peak: (label) => (/multitask.* update stride 1$/.test(label) ? 4 : undefined),
      })
      assert.match(
        find(rows, "With several operations at once, whether updates couple depends on how often one looks"),
        /0\.44 .*2\.93 .*every 25 steps/,
      )
    }),
  )
})

describe("other optimisers", () => {
  it.effect("are listed in units of the paper's gap, with what did not grok", () =>
    Effect.gen(function* () {
      const rows = yield* except({
        grokked: (label) => (/ sgd$/.test(label) ? null : undefined),
        peak: (label) => (/ sgd update/.test(label) ? 90 : undefined),
      })
      const text = find(rows, "Another optimiser, decay or schedule changes the gap")
      assert.match(text, /sgd 0\.1 n=1, did not grok; no-decay 1 n=1; decay-0\.3 1 n=1; cosine 1 n=1\./)
    }),
  )
})

describe("the simulated rebuttal", () => {
  it.effect("is listed with what was measured and judged", () =>
    Effect.gen(function* () {
      const text = find(yield* published, "What a reviewer's simulated rebuttal asserts")
      assert.match(text, /norm within 1 %: 0\.85 .*n=3 \(not-reproduced\)/)
      assert.match(text, /cosine 0\.85: 0\.85 .*n=3 \(reproduced\)/)
    }),
  )
})

describe("the answer", () => {
  it.effect("depends on what gradients of unrelated objectives reach", () =>
    Effect.gen(function* () {
      assert.match(
        answer(yield* published),
        /51\.2 times .*and more than gradients that have nothing to do with/,
      )
      assert.match(
        answer(yield* feared),
        /10 times .*but gradients that have nothing to do with the task come close: 1 /,
      )
    }),
  )

  it("of nothing is that nothing was measured", () => {
    assert.strictEqual(answer([]), "That was not measured here.")
  })
})
