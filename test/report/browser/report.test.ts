import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Comparison } from "../../../src/pipelines/comparison.ts"
import { smokeScale } from "../../../src/pipelines/paper.ts"
import { writePage } from "../../../src/report/html/write.ts"
import { writeReport } from "../../../src/report/write.ts"
import { idle } from "../../pipelines/idle.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { asPublished, rowsIn, tablesIn } from "../madeUp.ts"
import { comparison, INJECTED } from "../madeUpAblation.ts"
import { executable, launched, screens, seriousViolations, visit } from "./browser.ts"

/** A report with an ablation, all names of which hold markup. */
class Written extends Context.Service<Written, { readonly address: string; readonly out: string }>()(
  "test/Written",
) {
  static readonly layer = Layer.effect(
    Written,
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const [from, ablations, out] = ["smoke", "ablations", "report.html"].map((name) => join(root, name))
      yield* writeReport({
        directory: from,
        evidence: `smoke: not evidence ${INJECTED}`,
        config: smokeScale,
        tables: yield* tablesIn(asPublished, smokeScale),
        // Judged, so that there are badges to look at.
        claims: yield* rowsIn(asPublished, { ...smokeScale }),
        code: "some code",
      })
      mkdirSync(join(ablations, "made-up"), { recursive: true })
      const encoded = yield* Schema.encodeEffect(Comparison)(comparison)
      writeFileSync(join(ablations, "made-up", "comparison.json"), JSON.stringify(encoded))
      yield* writePage(from, ablations, out)
      return { address: pathToFileURL(out).href, out }
    }),
  ).pipe(Layer.provideMerge(idle()))
}

describe.skipIf(executable === undefined)("the report in a browser", () => {
  layer(Written.layer, { timeout: 60_000 })((it) => {
    for (const screen of screens) {
      const where = `${screen.width} px, ${screen.scheme}`
      it.effect(`is usable by everyone at ${where}`, () =>
        Effect.gen(function* () {
          const { address } = yield* Written
          const browser = yield* launched
          const { page } = yield* visit(browser, screen, address, { bypassing: true })
          assert.deepStrictEqual(yield* seriousViolations(page), [])
          const [content, window] = yield* Effect.promise(() =>
            page.evaluate<[number, number]>("[document.documentElement.scrollWidth, innerWidth]"),
          )
          assert.isAtMost(content, window)
        }),
      )
    }

    it.effect(
      "shows on a phone what each headline is judged, beside it, and what was published and measured",
      () =>
        Effect.gen(function* () {
          const { address } = yield* Written
          const browser = yield* launched
          const { page } = yield* visit(browser, screens[0], address)
          const rows = page.locator("#summary table.claims tbody tr")
          assert.strictEqual(yield* Effect.promise(() => rows.count()), 10)
          for (const row of yield* Effect.promise(() => rows.all())) {
            const cells = yield* Effect.promise(() => row.locator("th, td").all())
            const boxes = yield* Effect.promise(() => Promise.all(cells.map((cell) => cell.boundingBox())))
            const [claim, verdict, ...others] = boxes.map(
              (box) => box ?? { x: 999, y: 0, width: 0, height: 0 },
            )
            assert.isAtLeast(verdict.x, claim.x + claim.width - 1)
            assert.strictEqual(verdict.y, claim.y)
            assert.strictEqual(others.length, 2)
            for (const { x, width } of [claim, verdict, ...others]) {
              assert.isAtLeast(x, 0)
              assert.isAtMost(x + width, screens[0].width)
            }
          }
        }),
    )

    it.effect("shows the overview whole at any width", () =>
      Effect.gen(function* () {
        const { address } = yield* Written
        const browser = yield* launched
        for (const screen of [screens[0], screens[2]]) {
          const { page } = yield* visit(browser, screen, address)
          const shown = page.locator("#summary figure .card").filter({ visible: true })
          assert.strictEqual(yield* Effect.promise(() => shown.count()), 1)
          const [content, card] = yield* Effect.promise(() =>
            shown.evaluate((card) => [Reflect.get(card, "scrollWidth"), Reflect.get(card, "clientWidth")]),
          )
          assert.isAtMost(content, card)
        }
      }),
    )

    it.effect("has text as wide as its tables", () =>
      Effect.gen(function* () {
        const { address } = yield* Written
        const browser = yield* launched
        const { page } = yield* visit(browser, screens[2], address)
        const widthOf = (selector: string) =>
          Effect.promise(async () => (await page.locator(selector).first().boundingBox())?.width)
        assert.strictEqual(yield* widthOf("#summary > p.answer"), yield* widthOf("#summary table.claims"))
      }),
    )

    it.effect("asks for nothing, complains of nothing, and leaves injected markup text", () =>
      Effect.gen(function* () {
        const { address } = yield* Written
        const browser = yield* launched
        const { page, requests, errors } = yield* visit(browser, screens[0], address)
        assert.deepStrictEqual(
          requests.filter((request) => !request.startsWith("data:")),
          [address],
        )
        assert.deepStrictEqual(errors, [])
        assert.strictEqual(
          yield* Effect.promise(() => page.locator("script, img, iframe, object").count()),
          0,
        )
        const text = yield* Effect.promise(() => page.locator("body").textContent())
        assert.include(text ?? "", INJECTED)
      }),
    )

    it.effect("opens what is folded by the keyboard, and by a link to it", () =>
      Effect.gen(function* () {
        const { address } = yield* Written
        const browser = yield* launched
        const { page } = yield* visit(browser, screens[0], address)
        const first = page.locator("details").first()
        yield* Effect.promise(() => first.locator("> summary").focus())
        yield* Effect.promise(() => page.keyboard.press("Enter"))
        assert.strictEqual(
          yield* Effect.promise(() => page.evaluate("document.querySelector('details').open")),
          true,
        )
        yield* Effect.promise(() => page.locator("table.claims tbody th a").last().click())
        assert.strictEqual(
          yield* Effect.promise(() =>
            page.evaluate("document.querySelector(':target').closest('details').open"),
          ),
          true,
        )
      }),
    )

    it.effect("hands out the data of a figure, and shows everything on paper", () =>
      Effect.gen(function* () {
        const { address } = yield* Written
        const browser = yield* launched
        const { page } = yield* visit(browser, screens[3], address)
        const [file] = yield* Effect.promise(() =>
          Promise.all([page.waitForEvent("download"), page.locator("figure a.download").first().click()]),
        )
        assert.match(file.suggestedFilename(), /\.csv$/)
        yield* Effect.promise(() => page.emulateMedia({ media: "print" }))
        const disclosed = page.locator("details:not([open]) > .disclosed").first()
        const box = yield* Effect.promise(() => disclosed.boundingBox())
        assert.isAbove(box?.height ?? 0, 20)
      }),
    )
  })
})
