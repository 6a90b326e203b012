import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, SchemaIssue } from "effect"
import { arms, InterventionConfig, openArm } from "../../src/stages/arms.ts"
import { assertClose, assertSameBits, relativeError } from "../model/close.ts"
import { noise } from "../model/samples.ts"
import { inner, minus, referenceArm, size } from "./armReference.ts"

const length = 300
const seed = 42
const steps = 18
/** Steps 1 to 6 fill the window; 7 to 18 are modified, so that no natural vector is left in it. */
const keepSed: InterventionConfig = {
  arm: "keep-sed",
  version: "gradient",
  buffer: "modified",
  window: 6,
  rank: 3,
  warmup: 6,
}

/** The natural vectors of steps 1, 2, …: two slow directions under noise, as gradients of successive steps are. */
const naturals: ReadonlyArray<Float32Array> = Array.from({ length: steps }, (_, i) => {
  const [first, second, own] = [noise(900, length, 2), noise(901, length, 1.5), noise(i, length)]
  return own.map((value, k) => value + Math.cos(i / 9) * first[k] + Math.sin(i / 5) * second[k])
})

/** Every arm, in both versions of the window where it has one. */
const configs: ReadonlyArray<InterventionConfig> = [
  ...arms.map((arm): InterventionConfig => ({ ...keepSed, arm })),
  { ...keepSed, buffer: "natural" },
  { ...keepSed, arm: "remove-sed", buffer: "natural" },
]
const cases = configs.map((config) => ({ config, name: `${config.arm}, ${config.buffer} window` }))

/** What an arm does in the steps after `done`, with copies of its vectors and of its window after each step. */
const run = (config: InterventionConfig, done = 0, rows: ReadonlyArray<Float32Array> = [], key = seed) => {
  const arm = openArm(config, length, key, rows)
  return naturals.slice(done).map((natural, i) => {
    const { vector, ...rest } = arm.modify(done + i + 1, natural)
    return {
      ...rest,
      vector: vector.slice(),
      freezes: arm.freezes(done + i + 1),
      rows: arm.rows().map((row) => row.slice()),
    }
  })
}

const vectors = (config: InterventionConfig) => run(config).map(({ vector }) => vector)

const assertSameVectors = (
  actual: ReadonlyArray<Float32Array>,
  expected: ReadonlyArray<Float32Array>,
  what: string,
) => {
  assert.strictEqual(actual.length, expected.length, `number of ${what}`)
  actual.forEach((vector, i) => {
    assertSameBits(vector, expected[i], `${what} ${i}`)
  })
}

describe("the configuration of an intervention", () => {
  const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()
  /** Name of the field that is refused, and what is said about it. */
  const refused = (change: object) =>
    Schema.decodeUnknownEffect(InterventionConfig)({ ...keepSed, ...change }).pipe(
      Effect.flip,
      Effect.map(({ issue }) => {
        const [{ path, message }] = formatIssues(issue).issues
        return { field: path?.map(String).join("."), message }
      }),
    )

  it.effect("has an update version only where there is a subspace to project on", () =>
    Effect.gen(function* () {
      const projecting = configs.filter(({ arm }) => /^(remove|keep)-/.test(arm))
      assert.lengthOf(projecting, 7)
      for (const config of configs) {
        const change = { ...config, version: "update" }
        if (projecting.includes(config)) {
          assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(InterventionConfig)(change), change)
        } else {
          const { field, message } = yield* refused(change)
          assert.strictEqual(field, "version", config.arm)
          assert.include(message, config.arm)
        }
      }
    }),
  )

  it.effect("has natural vectors in the window only where there is a window", () =>
    Effect.gen(function* () {
      for (const arm of arms) {
        if (arm === "keep-sed" || arm === "remove-sed") continue
        const { field, message } = yield* refused({ arm, buffer: "natural" })
        assert.strictEqual(field, "buffer", arm)
        assert.include(message, arm)
      }
    }),
  )

  it.effect("has at most as many directions as the window has vectors", () =>
    Effect.gen(function* () {
      yield* Schema.decodeUnknownEffect(InterventionConfig)({ ...keepSed, rank: 6 })
      const { field, message } = yield* refused({ rank: 7 })
      assert.strictEqual(field, "rank")
      assert.match(message, /6.*7/)
    }),
  )

  it.effect("names the field that is no size, no arm, no version", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [field: string, value: unknown]> = [
        ["window", 0],
        ["window", 1001],
        ["rank", 0],
        ["rank", 1.5],
        ["warmup", -1],
        ["arm", "control"],
        ["version", "both"],
        ["buffer", "none"],
      ]
      for (const [field, value] of wrong)
        assert.strictEqual((yield* refused({ [field]: value })).field, field)
    }),
  )
})

describe.each(cases)("$name", ({ config }) => {
  const isFrozen = config.arm === "frozen"
  const ran = run(config)

  it("makes of each vector what float64 linear algebra makes of it", () => {
    const reference = referenceArm(config, seed)
    for (const [i, natural] of naturals.entries()) {
      const expected = reference(i + 1, Array.from(natural))
      assert.strictEqual(ran[i].modified, expected.modified, `step ${i + 1}`)
      assertClose(ran[i].vector, expected.vector, 1e-5, `step ${i + 1}`)
      if (expected.energyShare === null) assert.isNull(ran[i].energyShare)
      else assert.closeTo(ran[i].energyShare ?? Number.NaN, expected.energyShare, 1e-6)
    }
  })

  it("changes no vector of the warm-up, and every one after it", () => {
    for (const [i, natural] of naturals.entries()) {
      const { vector, modified, energyShare } = ran[i]
      const isNatural = i + 1 <= config.warmup && !isFrozen
      assert.strictEqual(modified, !isNatural)
      if (isNatural) {
        assertSameBits(vector, natural)
        assert.isNull(energyShare)
      } else {
        assert.isAbove(relativeError(vector, natural), 0.02)
      }
    }
  })

  it("keeps in its window the last W vectors, modified or natural", () => {
    for (const [i, { rows }] of ran.entries()) {
      if (!config.arm.endsWith("-sed")) {
        assert.lengthOf(rows, 0)
        continue
      }
      const held = config.buffer === "natural" ? naturals : ran.map(({ vector }) => vector)
      assertSameVectors(rows, held.slice(Math.max(0, i + 1 - config.window), i + 1), "rows")
    }
  })

  it("goes on from its window bit for bit, wherever it is stopped", () => {
    for (const done of [0, 3, 6, 7, 11, steps - 1]) {
      const continued = run(config, done, done === 0 ? [] : ran[done - 1].rows)
      assertSameVectors(
        continued.map(({ vector }) => vector),
        ran.slice(done).map(({ vector }) => vector),
        `vectors after step ${done}`,
      )
      assertSameVectors(continued.at(-1)?.rows ?? [], ran[steps - 1].rows, "rows")
      assert.deepStrictEqual(
        continued.map(({ energyShare }) => energyShare),
        ran.slice(done).map(({ energyShare }) => energyShare),
      )
    }
  })

  it("puts θ_attn back only where it is frozen", () => {
    const frozenFrom = { frozen: 1, "frozen-after-warmup": config.warmup + 1 }
    const first = Object.entries(frozenFrom).find(([arm]) => arm === config.arm)?.[1] ?? steps + 1
    assert.deepStrictEqual(
      ran.map(({ freezes }) => freezes),
      naturals.map((_, i) => i + 1 >= first),
    )
  })

  it("does not write to the natural vector", () => {
    const given = naturals.map((natural) => natural.slice())
    const arm = openArm(config, length, seed, [])
    for (const [i, natural] of given.entries()) arm.modify(i + 1, natural)
    assertSameVectors(given, naturals, "natural vectors")
  })
})

describe("pairs of arms", () => {
  const after = keepSed.warmup
  /** Kept and removed part of the vectors from step `first` on, for arms that see the same windows there. */
  const parts = (config: Omit<InterventionConfig, "arm">, subspace: "sed" | "random", count: number) => {
    const of = (what: "keep" | "remove") =>
      vectors({ ...config, arm: `${what}-${subspace}` })
        .slice(after, after + count)
        .map((vector) => Array.from(vector))
    const [keep, remove] = [of("keep"), of("remove")]
    return keep.map((kept, i) => ({
      kept,
      removed: remove[i],
      natural: Array.from(naturals[after + i]),
    }))
  }

  const { arm: _, ...shared } = keepSed
  it.each([
    // A window of modified vectors differs between the two from the second modified step on.
    { name: "SED, modified window", found: parts(shared, "sed", 1) },
    { name: "SED, natural window", found: parts({ ...shared, buffer: "natural" }, "sed", 12) },
    { name: "random", found: parts(shared, "random", 12) },
  ])("divide a vector into two at right angles ($name)", ({ found }) => {
    for (const { kept, removed, natural } of found) {
      assertClose(removed, minus(natural, kept), 1e-6)
      assert.closeTo(inner(kept, removed), 0, 1e-6 * inner(natural, natural))
      assert.isAbove(size(kept), 0.01 * size(natural))
      assert.isAbove(size(removed), 0.01 * size(natural))
    }
  })

  it("keep the same random directions, norm-matched or not", () => {
    const kept = vectors({ ...keepSed, arm: "keep-random" })
    const matched = vectors({ ...keepSed, arm: "keep-random-norm-matched" })
    for (let i = after; i < steps; i++) {
      const norm = size(Array.from(naturals[i]))
      assert.closeTo(size(Array.from(matched[i])), norm, 1e-6 * norm)
      const factor = norm / size(Array.from(kept[i]))
      assertClose(
        matched[i],
        Array.from(kept[i], (value) => value * factor),
        1e-6,
      )
    }
  })
})

describe("random arms", () => {
  it.each(["keep-random", "noise"] as const)("depend on seed and step alone (%s)", (arm) => {
    const config: InterventionConfig = { ...keepSed, arm }
    const at = (key: number, t: number) => openArm(config, length, key, []).modify(t, naturals[0]).vector
    // A fresh arm, straight at step 9.
    assertSameBits(at(seed, 9), at(seed, 9))
    assert.isAbove(relativeError(at(seed, 10), at(seed, 9)), 0.1)
    assert.isAbove(relativeError(at(seed + 1, 9), at(seed, 9)), 0.1)
  })

  it("inject noise of the natural norm that has little to do with the natural vector", () => {
    const injected = vectors({ ...keepSed, arm: "noise" })
    for (let i = keepSed.warmup; i < steps; i++) {
      const [natural, drawn] = [Array.from(naturals[i]), Array.from(injected[i])]
      assert.closeTo(size(drawn), size(natural), 1e-6 * size(natural))
      // The cosine with a fixed vector has a deviation of 1 / √300.
      assert.isBelow(Math.abs(inner(drawn, natural)) / size(natural) ** 2, 5 / Math.sqrt(length))
    }
  })
})

describe("a window with too little in it", () => {
  it("keeps nothing where no warm-up filled it, for ever", () => {
    for (const { vector, energyShare } of run({ ...keepSed, warmup: 0 })) {
      assertSameBits(vector, new Float32Array(length))
      assert.isNull(energyShare)
    }
  })

  it("removes nothing from the first vector, and what is left of the second is across the first", () => {
    const [first, second] = vectors({ ...keepSed, arm: "remove-sed", warmup: 0 })
    assertSameBits(first, naturals[0])
    const [a, b] = [Array.from(first), Array.from(second)]
    assert.closeTo(inner(a, b), 0, 1e-6 * size(a) * size(b))
    assert.isAbove(size(b), 0.1 * size(a))
  })

  it("projects on as many directions as there are vectors", () => {
    const { vector, energyShare } = run({ ...keepSed, warmup: 2 })[2]
    const { vector: onTwo } = run({ ...keepSed, warmup: 2, rank: 2 })[2]
    assertSameBits(vector, onTwo)
    assert.strictEqual(energyShare, 1)
  })
})
