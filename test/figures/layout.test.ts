import { assert, describe, it } from "@effect/vitest"
import * as Plot from "@observablehq/plot"
import { type Axis, logAxis, pixels, plotAreas, scale } from "../../src/figures/axes.ts"
import { interpolate, overSeeds } from "../../src/figures/overSeeds.ts"
import { leftOut, linearDomain, linearTicks, logDomain, logTicks } from "../../src/figures/scales.ts"
import { spread } from "../../src/figures/spread.ts"
import { textWidth, wrap, wrapName } from "../../src/figures/text.ts"
import { labelBoxes } from "./layout.ts"

describe("spread", () => {
  const sizes = (ats: ReadonlyArray<number>) => ats.map((at) => ({ at, size: 10 }))

  it("leaves labels that are clear of each other where they are", () => {
    assert.deepStrictEqual(spread(sizes([80, 20, 50]), 0, 100), [80, 20, 50])
  })

  it("moves labels apart, in the order of their places", () => {
    assert.deepStrictEqual(spread(sizes([52, 50, 51]), 0, 100), [70, 50, 60])
  })

  it("pushes back from the far edge", () => {
    assert.deepStrictEqual(spread(sizes([98, 99, 100]), 0, 100), [75, 85, 95])
  })
})

describe("overSeeds", () => {
  const short = [
    { step: 0, value: 1 },
    { step: 100, value: 3 },
  ]
  const long = [
    { step: 0, value: 3 },
    { step: 50, value: 5 },
    { step: 200, value: 8 },
  ]

  it("interpolates between the points of a seed and holds its ends", () => {
    assert.deepStrictEqual(
      [-5, 0, 25, 100, 150, 300].map((step) => interpolate(short, step)),
      [1, 1, 1.5, 3, 3, 3],
    )
  })

  it("ends with the first seed to end", () => {
    assert.deepStrictEqual(overSeeds([short, long], "cut"), [
      { step: 0, mean: 2, low: 1, high: 3 },
      { step: 50, mean: 3.5, low: 2, high: 5 },
      { step: 100, mean: 4.5, low: 3, high: 6 },
    ])
  })

  it("lets a seed that has ended count on with its last value", () => {
    assert.deepStrictEqual(overSeeds([short, long], "hold").at(-1), { step: 200, mean: 5.5, low: 3, high: 8 })
  })

  it("is empty without points", () => {
    assert.deepStrictEqual(overSeeds([[]], "hold"), [])
  })
})

describe("domains and ticks", () => {
  it("end a log axis at 1, 2 or 5 times a power of ten, whatever is not positive", () => {
    assert.deepStrictEqual(logDomain([0.7, 330, 0, Number.NaN, -3]), [0.5, 500])
    assert.deepStrictEqual(logDomain([10]), [5, 20])
    assert.deepStrictEqual(logDomain([0]), [1, 10])
  })

  it("mark powers of ten, and 1, 2, 5 where those are few", () => {
    assert.deepStrictEqual(logTicks([0.5, 500]), [1, 10, 100])
    assert.deepStrictEqual(logTicks([0.5, 20]), [0.5, 1, 2, 5, 10, 20])
  })

  it("mark a linear axis at round numbers", () => {
    assert.deepStrictEqual(linearTicks([0, 8000], 4), [0, 2000, 4000, 6000, 8000])
    assert.deepStrictEqual(linearTicks([-0.25, 0.3], 5), [-0.2, 0, 0.2])
    assert.deepStrictEqual(linearDomain([3, 90]), [0, 90])
    assert.deepStrictEqual(linearDomain([80, 90]), [80, 90])
  })

  it("say how many values a log axis cannot show", () => {
    assert.include(leftOut([1, 0, Number.NaN]), "(2)")
    assert.strictEqual(leftOut([1, 2]), "")
  })
})

describe("pixels", () => {
  const axes: ReadonlyArray<Axis> = [
    logAxis([0.5, 500], ""),
    { type: "linear", domain: [-1, 4], ticks: [], format: String, label: null },
  ]
  it("puts a value where Plot draws it, and finds it back", () => {
    for (const axis of axes) {
      const drawn = Plot.scale({ x: { ...scale(axis), range: [40, 260] } })
      const { of, at } = pixels(axis, 40, 260)
      for (const value of [0.7, 1, 3.3]) {
        assert.closeTo(of(value), drawn.apply(value), 1e-9)
        assert.closeTo(at(of(value)), value, 1e-9)
      }
    }
  })

  it("shares a width out evenly", () => {
    assert.deepStrictEqual(plotAreas(3, { from: 10, to: 130 }, 15), [
      { from: 10, to: 40 },
      { from: 55, to: 85 },
      { from: 100, to: 130 },
    ])
  })
})

describe("text", () => {
  const texts = [
    "keep-random-norm-matched",
    "coupling R̄ of per-example gradient directions, σ₁ ≥ σ₂",
    "Bars and numbers: mean over seeds (n = 3), from 1, the coupling of a random direction; 95 %",
  ]

  it("is estimated no narrower than resvg draws it, and at most an eighth wider", () => {
    for (const text of texts) {
      for (const weight of [400, 600]) {
        const svg = `<svg xmlns="http://www.w3.org/2000/svg"><g font-family="Inter" font-weight="${weight}" font-size="20"><text x="50" y="50">${text}</text></g></svg>`
        const drawn = labelBoxes(svg)[0]?.width ?? 0
        const estimate = textWidth(text, 20, weight === 600)
        assert.isAtLeast(estimate, drawn * 0.995)
        assert.isAtMost(estimate, drawn * 1.125)
      }
    }
  })

  it("wraps at spaces, names after hyphens, and loses nothing", () => {
    const text = texts.join(" ")
    const lines = wrap(text, 300, 11)
    assert.strictEqual(lines.join(" "), text)
    for (const line of lines) assert.isAtMost(textWidth(line, 11), 300)
    assert.deepStrictEqual(wrapName("keep-random-norm-matched", 100, 11), ["keep-random-", "norm-matched"])
    assert.deepStrictEqual(wrapName("unbreakable", 10, 11), ["unbreakable"])
  })
})
