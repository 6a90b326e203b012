import { assert, describe, it } from "@effect/vitest"
import { initialParameters } from "../../src/model/initialise.ts"
import type { Initialiser } from "../../src/model/layout.ts"
import { namedParameters, thetaAttn } from "../../src/model/layout.ts"
import { mean } from "../../src/numerics/statistics.ts"
import { assertSameBits } from "./close.ts"
import golden from "./golden/init.json" with { type: "json" }
import { multitaskPaperLayout, paperLayout, smallLayout } from "./samples.ts"

const seeds = [42, 137, 2024]

const pytorch = new Map(Object.entries(golden.parameters))

const standardDeviation = (xs: Float32Array): number => {
  const centre = mean(xs)
  return Math.sqrt(mean(Float64Array.from(xs, (x) => (x - centre) ** 2)))
}

/** Standard errors, relative to the deviation, of the deviation and of the extremes of n draws. */
const standardErrors = (kind: Initialiser["kind"], n: number) => {
  switch (kind) {
    case "normal":
      return { deviation: 1 / Math.sqrt(2 * n), extremes: 0.5 }
    case "uniform":
      return { deviation: Math.sqrt(0.2 / n), extremes: Math.sqrt(12) / n }
    case "constant":
      return { deviation: 0, extremes: 0 }
  }
}

describe.each(seeds)("initial parameters of seed %i", (seed) => {
  const theta = initialParameters(paperLayout, seed)
  const parameters = namedParameters(paperLayout, theta)

  it.each(parameters)("$name is distributed as PyTorch's", ({ name, size, initialiser, values }) => {
    const expected = pytorch.get(name) ?? assert.fail("no golden values")
    const error = standardErrors(initialiser.kind, size)
    // Six standard errors: no test of 3 × 25 fails by chance.
    assert.closeTo(standardDeviation(values), expected.std, 6 * expected.std * error.deviation)
    assert.closeTo(Math.min(...values), expected.min, 6 * expected.std * error.extremes)
    assert.closeTo(Math.max(...values), expected.max, 6 * expected.std * error.extremes)
    const centre = initialiser.kind === "constant" ? initialiser.value : 0
    assert.closeTo(mean(values), centre, (6 * expected.std) / Math.sqrt(size))
  })

  it("stay within the bound of a uniform distribution", () => {
    for (const { name, initialiser, values } of parameters) {
      if (initialiser.kind !== "uniform") continue
      assert.isTrue(
        values.every((w) => Math.abs(w) <= Math.fround(initialiser.bound)),
        name,
      )
    }
  })

  it("are equal in both layers", () => {
    const ofLayer = (layer: number) =>
      parameters.filter(({ name }) => name.startsWith(`encoder.layers.${layer}.`))
    const second = ofLayer(1)
    assert.lengthOf(second, 12)
    for (const [i, { name, values }] of ofLayer(0).entries()) assertSameBits(second[i].values, values, name)
  })

  it("give θ_attn a norm of about 21.7", () => {
    const norm = Math.sqrt(thetaAttn(paperLayout, theta).reduce((sum, w) => sum + w * w, 0))
    assert.closeTo(norm, 21.7, 0.217)
  })
})

describe("initial parameters", () => {
  it("are the same bits for the same seed", () => {
    assertSameBits(initialParameters(paperLayout, 42), initialParameters(paperLayout, 42))
  })

  it("differ from seed to seed in every random parameter", () => {
    const others = namedParameters(paperLayout, initialParameters(paperLayout, 137))
    const parameters = namedParameters(paperLayout, initialParameters(paperLayout, 42))
    for (const [i, { name, values, initialiser }] of parameters.entries()) {
      const equal = values.filter((w, j) => w === others[i].values[j]).length
      assert.strictEqual(equal, initialiser.kind === "constant" ? values.length : 0, name)
    }
  })

  it("differ from parameter to parameter within a layer", () => {
    const unit = (w: number, initialiser: Initialiser) => {
      switch (initialiser.kind) {
        case "normal":
          return [w / initialiser.std]
        case "uniform":
          return [w / initialiser.bound]
        case "constant":
          return []
      }
    }
    const firsts = namedParameters(paperLayout, initialParameters(paperLayout, 42))
      .filter(({ name }) => !name.startsWith("encoder.layers.1."))
      .flatMap(({ values, initialiser }) => unit(values[0], initialiser))
    assert.strictEqual(new Set(firsts.map((w) => w.toFixed(6))).size, firsts.length)
  })

  it("of four tasks are those of one, and a head's 128 inputs bound every head", () => {
    const theta = initialParameters(multitaskPaperLayout, 42)
    const single = initialParameters(paperLayout, 42)
    const [{ offset }] = paperLayout.parameters.filter(({ name }) => name === "head.weight")
    assertSameBits(theta.subarray(0, offset), single.subarray(0, offset))
    const parameters = namedParameters(multitaskPaperLayout, theta)
    for (const { name, values } of parameters.filter(({ name }) => name.startsWith("head."))) {
      const p = values.length / 4
      for (let task = 0; task < 4; task++) {
        const head = values.subarray(task * p, (task + 1) * p)
        const largest = head.reduce((most, w) => Math.max(most, Math.abs(w)), 0)
        assert.isAtMost(largest, Math.fround(1 / Math.sqrt(128)), name)
        assert.isAbove(largest, 0.95 / Math.sqrt(128), name)
        if (task > 0) assert.notStrictEqual(head[0], values[0])
      }
    }
  })

  it("are equal in every layer of a deeper model", () => {
    const layout = smallLayout(3)
    const parameters = namedParameters(layout, initialParameters(layout, 1))
    for (const { name, values } of parameters) {
      const [source] = parameters.filter((p) => p.name === name.replace(/layers\.\d/, "layers.0"))
      assertSameBits(values, source.values, name)
    }
  })
})
