import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { smokeScale } from "../../../src/pipelines/paper.ts"
import { QUESTION } from "../../../src/report/findings.ts"
import { escaped } from "../../../src/report/html/escaped.ts"
import { type Paper, reportPage } from "../../../src/report/html/page.ts"
import { slug } from "../../../src/report/html/parts.ts"
import { readSource } from "../../../src/report/html/write.ts"
import { writeReport } from "../../../src/report/write.ts"
import { idle } from "../../pipelines/idle.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { asPublished, rowsIn, tablesIn } from "../madeUp.ts"
import { comparison, INJECTED } from "../madeUpAblation.ts"

/** What a directory with made-up results holds. */
const source = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  yield* writeReport({
    directory,
    evidence: "smoke: not evidence",
    config: smokeScale,
    tables: yield* tablesIn(asPublished, smokeScale),
    claims: yield* rowsIn(asPublished, smokeScale),
    code: "some code",
  })
  const { paper } = yield* readSource(directory, join(directory, "no ablations"))
  return yield* Effect.fromNullishOr(paper)
})

/** Where in a page these are, each after the one before. */
const inOrder = (page: string, parts: ReadonlyArray<string>) => {
  let from = 0
  for (const part of parts) {
    const at = page.indexOf(part, from)
    assert.isAtLeast(at, 0, `${part} is not there, or too early`)
    from = at + part.length
  }
}

const pageOf = (paper: Paper) => reportPage({ paper, ablations: [] })

/** Written once: drawing takes longer than everything else here. */
class Made extends Context.Service<Made, Paper>()("test/Made") {
  static readonly layer = Layer.effect(Made, source).pipe(Layer.provide(idle()))
}

const entry = (artifacts: ReadonlyArray<string>) => ({
  label: "train add/42",
  key: "5a".repeat(32),
  seconds: 12.5,
  committedAt: "2026-11-24T18:16:29.816Z",
  machine: "a machine",
  code: "c0de".repeat(16),
  artifacts,
  determinism: { _tag: "Bitwise" } as const,
})

describe("the page", () => {
  layer(Made.layer, { timeout: 60_000 })((it) => {
    it.effect(
      "begins with the question, the answer, the words, the overview and the statements of the abstract",
      () =>
        Effect.gen(function* () {
          const made = yield* Made
          const headlines = made.claims.filter(({ isHeadline }) => isHeadline)
          assert.strictEqual(headlines.length, 10)
          inOrder(pageOf(made), [
            escaped(QUESTION),
            "They move the features&#39; centroids",
            "smoke: not evidence",
            "<dt>R₁, R̄</dt>",
            'id="figure-overview-title"',
            'id="figure-overview-narrow-title"',
            "The statements of the abstract",
            ...headlines.map((row) => `href="#claim-${slug(row.id)}"`),
            "What was found",
            "R̄ of gradients is high before a network groks.",
            'id="figures-title"',
          ])
        }),
    )

    it.effect("has the figures in the order of the story, each once, its caption as text outside of it", () =>
      Effect.gen(function* () {
        const made = yield* Made
        const names = made.figures.map(({ name }) => name)
        assert.deepStrictEqual(names.slice(0, 5), [
          "overview",
          "overview-narrow",
          "coupling-published",
          "coupling-backward",
          "peaks",
        ])
        assert.isBelow(names.indexOf("multitask"), names.indexOf("speedups"))
        assert.isBelow(names.indexOf("speedups"), names.indexOf("fourier-add"))
        const page = pageOf(made)
        for (const { name, svg } of made.figures) {
          assert.strictEqual(page.split(`id="figure-${slug(name)}-title"`).length, 2, name)
          assert.isNotEmpty(svg.description, name)
          if (name === "overview-narrow") continue
          const [, caption = ""] = page.split(`<figcaption><p><strong>${escaped(svg.title)}. </strong>`)
          assert.isTrue(caption.startsWith(escaped(svg.description)), name)
        }
      }),
    )

    it.effect("judges nothing at the smoke scale; else shows a number and a reading for each claim", () =>
      Effect.gen(function* () {
        const made = yield* Made
        assert.notMatch(pageOf(made), /class="verdict /)
        const claims = made.claims.map((row) => ({
          ...row,
          number: { verdict: "partly" as const, because: "a rule" },
          reading: { verdict: "refuted" as const, because: "a control" },
        }))
        const page = pageOf({ ...made, claims })
        assert.include(page, '<span class="verdict partly">~ partly</span>')
        assert.include(page, '<span class="verdict refuted">✗ refuted</span>')
        assert.include(page, "refuted: a control")
        assert.notInclude(page, "contradicted")
      }),
    )

    it.effect("calls the rebuttal what it is, and links no rows of ids", () =>
      Effect.gen(function* () {
        const page = pageOf(yield* Made)
        assert.include(page, ">A reviewer&#39;s simulated rebuttal</h3>")
        assert.notInclude(page, "authors&#39; rebuttal")
        assert.notMatch(page, /<a href="#claim-[^"]*">[\w-]+(\.[\w-]+)+<\/a>/)
      }),
    )

    it.effect("shows every claim, every figure with its data, and the configuration that was run", () =>
      Effect.gen(function* () {
        const made = yield* Made
        const page = pageOf(made)
        for (const { id } of made.claims) assert.include(page, `id="claim-${slug(id)}"`)
        assert.isAbove(made.figures.length, 5)
        for (const { name, data } of made.figures) {
          assert.isAbove(data.length, 0, name)
          for (const { csv } of data) assert.isAbove(csv.trim().split("\n").length, 1, name)
        }
        assert.include(page, "<code>single.train.learningRate</code></th><td>0.005</td>")
        assert.deepStrictEqual(made.changed, [])
      }),
    )

    it.effect("names the stages behind a number, or says that the run did not record them", () =>
      Effect.gen(function* () {
        const made = yield* Made
        const [claim] = made.claims
        const stages = [entry(claim.artifacts)]
        const page = pageOf({ ...made, claims: [claim], manifest: { ...made.manifest, stages } })
        for (const text of [
          "train add/42",
          "5a5a5a5a5a5a",
          "c0dec0dec0de",
          "bitwise",
          "12.50",
          "a machine",
        ]) {
          assert.include(page, text)
        }
        assert.notInclude(page, "this run did not record it")
        const { artifacts: _, code: __, determinism: ___, ...older } = stages[0]
        const { config: ____, ...manifest } = made.manifest
        const old: Paper = { ...made, claims: [claim], manifest: { ...manifest, stages: [older] } }
        const text = pageOf(old)
        assert.include(text, "Which stages wrote these artifacts: this run did not record it.")
        assert.include(text, "Hyper-parameters: this run did not record it.")
        const papers = { ...old, manifest: { ...old.manifest, evidence: "the paper's sizes; seeds 42, 137" } }
        assert.include(pageOf(papers), "<code>seeds</code></th><td>42, 137</td>")
      }),
    )

    it.effect("shows an ablation with its failures and controls, and no markup of its names", () =>
      Effect.gen(function* () {
        const made = yield* Made
        const ablation = { directory: INJECTED, comparison, manifest: null, csv: INJECTED, figures: [] }
        const page = reportPage({ paper: made, ablations: [ablation] })
        assert.include(page, "2 measurements failed")
        assert.notInclude(page, "Note: ")
        const noted = { ...ablation, comparison: { ...comparison, note: "earlier windows" } }
        assert.include(
          reportPage({ paper: made, ablations: [noted] }),
          '<p class="note"><strong>Note: </strong>earlier windows</p>',
        )
        assert.include(page, "in brackets: the smallest and largest seed")
        assert.include(page, "failed: diverged")
        assert.include(page, "(base)")
        assert.notInclude(page, "<script")
        assert.notInclude(page, "<img")
        const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
        assert.strictEqual(new Set(ids).size, ids.length)

        const alone = reportPage({ paper: null, ablations: [ablation] })
        assert.include(alone, "2 measurements failed")
        assert.include(alone, "reproduce-all does that")
        assert.notInclude(alone, "#claims")
        assert.include(reportPage({ paper: null, ablations: [] }), "No results were written so far.")
      }),
    )
  })
})
