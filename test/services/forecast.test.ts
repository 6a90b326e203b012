import { assert, describe, it } from "@effect/vitest"
import { type Law, makeForecast } from "../../src/services/forecast.ts"
import { HERE, past } from "./pastComputations.ts"

const law: Law = {
  work: (input) => ({ count: Object(input).steps, size: 1 }),
  costliest: () => ({ slow: true }),
  left: (_, __, entries) => 1 - entries / 10,
}

const forecastOf = (
  records: ReadonlyArray<ReturnType<typeof past>>,
  input: unknown,
  options: {
    readonly law?: Law
    readonly entries?: number
    readonly labels?: ReadonlyMap<string, string>
  } = {},
) => {
  const { law, entries = 0, labels = new Map() } = options
  const preimage = { stage: "train", code: "c", input }
  return makeForecast(records, { machine: HERE, labels, law })({
    ...{ preimage, input, entries },
    label: "train",
    parts: [],
  })
}

describe("a forecast", () => {
  it("is none without history", () => {
    assert.isUndefined(forecastOf([], { seed: 1 }))
  })

  it("is the median of the nearest, with a range from those that differ in one field more", () => {
    const records = [
      past({ key: "a", input: { seed: 1, rate: 2 }, seconds: 10 }),
      past({ key: "b", input: { seed: 2, rate: 2 }, seconds: 14 }),
      past({ key: "c", input: { seed: 1, rate: 3 }, seconds: 90 }),
      past({ key: "d", input: { seed: 9, rate: 9, other: 9 }, seconds: 900 }),
    ]
    const forecast = forecastOf(records, { seed: 3, rate: 2 })
    assert.strictEqual(forecast?.seconds.likely, 12)
    assert.deepStrictEqual([forecast?.seconds.low, forecast?.seconds.high], [10, 90])
  })

  it("counts this machine's computations where there are any", () => {
    const elsewhere = past({ key: "b", seconds: 99, machine: "another" })
    assert.strictEqual(forecastOf([elsewhere, past({ input: { seed: 2 } })], {})?.seconds.likely, 10)
    assert.strictEqual(forecastOf([elsewhere], {})?.seconds.likely, 99)
  })

  it("takes, of equally near ones, those that runs call the same", () => {
    const records = [past({ key: "a", seconds: 10 }), past({ key: "b", seconds: 30 })]
    const labels = new Map([["b", "train"]])
    assert.strictEqual(forecastOf(records, {}, { labels })?.seconds.likely, 30)
  })

  it("scales a neighbour of another size by the law, and leaves out what a cursor has", () => {
    const records = [past({ input: { steps: 100 }, seconds: 10 })]
    assert.strictEqual(forecastOf(records, { steps: 300 }, { law })?.seconds.likely, 30)
    assert.strictEqual(forecastOf(records, { steps: 300 }, { law, entries: 5 })?.seconds.likely, 15)
    const unreadable = { law: { work: () => undefined } }
    assert.strictEqual(forecastOf(records, { steps: "many" }, unreadable)?.seconds.likely, 10)
  })

  it("scales less than in proportion where single operations are larger", () => {
    const wider: Law = { work: (input) => ({ count: 1, size: Object(input).width ?? 1 }) }
    const records = [past({ input: { width: 1 }, seconds: 10 })]
    const {
      likely = 0,
      low = 0,
      high = 0,
    } = forecastOf(records, { width: 16 }, { law: wider })?.seconds ?? {}
    assert.isAbove(low, 10)
    assert.isAbove(likely, low)
    assert.isAbove(high, likely)
    assert.strictEqual(high, 160)
    const narrower = forecastOf(records, { width: 1 / 16 }, { law: wider })?.seconds
    assert.strictEqual(narrower?.low, 10 / 16)
  })

  it("reaches up to the costliest output", () => {
    const slow: Law = { ...law, work: (_, output) => ({ count: Object(output).slow ? 8 : 1, size: 1 }) }
    const forecast = forecastOf([past()], {}, { law: slow })
    assert.deepStrictEqual(forecast?.seconds, { likely: 10, low: 10, high: 80 })
  })
})
