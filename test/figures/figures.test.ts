import { assert, describe, it } from "@effect/vitest"
import { couplingOverTraining } from "../../src/figures/couplingOverTraining.ts"
import { renderPng } from "../../src/figures/png.ts"
import { type Box, labelBoxes, overlap, parse } from "./layout.ts"
import { couplingData, samples } from "./samples.ts"

const outside = (box: Box, width: number, height: number) =>
  box.x < 0 || box.y < 0 || box.x + box.width > width || box.y + box.height > height

const attribute = (svg: string, name: string) =>
  Number(new RegExp(`<svg[^>]* ${name}="([\\d.]+)"`).exec(svg)?.[1])

describe("every figure", () => {
  for (const [name, draw] of Object.entries(samples)) {
    describe(name, () => {
      const svg = draw()

      it("is well-formed XML with a title and a description", () => {
        const { root, text } = parse(svg)
        assert.strictEqual(root, "svg")
        assert.isNotEmpty(text("title"))
        assert.isNotEmpty(text("desc"))
      })

      it("is the same, to the byte, when drawn again", () => {
        assert.isTrue(draw() === svg)
      })

      it("draws nothing at a coordinate that is not a number", () => {
        assert.notMatch(svg, /NaN|undefined|Infinity/)
      })

      it("keeps every label within the picture and clear of every other", () => {
        const boxes = labelBoxes(svg)
        assert.isAbove(boxes.length, 5)
        const [width, height] = [attribute(svg, "width"), attribute(svg, "height")]
        assert.deepStrictEqual(
          boxes.filter((box) => outside(box, width, height)).map(({ text }) => text),
          [],
        )
        assert.deepStrictEqual(
          boxes.flatMap((a, i) =>
            boxes
              .slice(i + 1)
              .filter((b) => overlap(a, b))
              .map((b) => `${a.text} / ${b.text}`),
          ),
          [],
        )
      })

      it("becomes a PNG of twice its size", () => {
        const png = Buffer.from(renderPng(svg))
        assert.strictEqual(png.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n")
        assert.strictEqual(png.readUInt32BE(16), 2 * attribute(svg, "width"))
        assert.strictEqual(png.readUInt32BE(20), 2 * attribute(svg, "height"))
      })
    })
  }
})

describe("names from outside", () => {
  const hostile = `<script>alert("1") & 'x'</script>`
  const svg = couplingOverTraining({
    title: hostile,
    coupling: couplingData.coupling.slice(0, 2).map((curve) => ({ ...curve, operation: hostile })),
    accuracy: [],
    caption: hostile,
  })

  it("are text, never markup", () => {
    assert.notInclude(svg, "<script")
    const { text, names } = parse(svg)
    assert.strictEqual(text("title"), hostile)
    assert.include(text("desc"), hostile)
    assert.notInclude(names, "script")
  })
})
