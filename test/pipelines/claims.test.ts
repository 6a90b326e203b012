import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Claim, evaluateClaim, type Quantity, RATIO, STEPS } from "../../src/pipelines/Claim.ts"
import { claims } from "../../src/pipelines/claims.ts"
import { isStage, sources } from "../../src/pipelines/derive.ts"
import { closure, type Node, type Resolve } from "../../src/pipelines/Node.ts"
import { paper, paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import { RHO } from "../../src/pipelines/quantities.ts"
import type { Published } from "../../src/pipelines/verdicts.ts"
import { assertClose } from "../model/close.ts"
import { idle } from "./idle.ts"

const whole = paper(paperScale)
const list = claims(whole)

const claimOf = (id: string): Claim => {
  const found = list.find((claim) => claim.id === id)
  if (found === undefined) throw new Error(`no claim ${id}`)
  return found
}

/** A published number without its source. */
const numbersOf = ({ source: _, ...published }: Published) => published

/** The statements of the abstract, with what was published; null for a statement without a number. */
const headlines: Readonly<Record<string, ReturnType<typeof numbersOf> | null>> = {
  "headline.update-peaks": { low: 3, high: 9 },
  "headline.gradient-peaks": { low: 100, high: 330 },
  "headline.gap": { low: 10, high: 100 },
  "headline.operation-dependence": null,
  "headline.multitask-updates": { atMost: 1 },
  "headline.multitask-gradients": { low: 20, high: 45 },
  "headline.aggregation": null,
  "headline.rank-3-accelerates": { value: 2.3 },
  "headline.removing-rank-3": { value: 1.02 },
  "headline.rank-redundant": null,
}

/** The details of experiment.md §5 and §7. */
const details: Readonly<Record<string, ReturnType<typeof numbersOf> | null>> = {
  "coupling.single.add.update.peak": { value: 9 },
  "coupling.single.sub.update.peak": { low: 3, high: 3.5 },
  "coupling.single.mul.update.peak": { low: 3, high: 3.5 },
  "coupling.single.x2_y2.update.peak": { low: 3, high: 3.5 },
  ...Object.fromEntries(
    ["add", "sub", "mul", "x2_y2"].flatMap((operation) => [
      [`coupling.single.${operation}.gradient.peak`, { low: 100, high: 330 }],
      [`coupling.single.${operation}.gradient-over-update`, { low: 10, high: 100 }],
      [`coupling.multitask.${operation}.update`, { atMost: 1 }],
    ]),
  ),
  "coupling.window.add.1": { value: 648 },
  // Monotone falling from 648 to 212.
  "coupling.window.add.2": { low: 212, high: 648 },
  "coupling.window.add.5": { low: 212, high: 648 },
  "coupling.window.add.10": { low: 212, high: 648 },
  "coupling.window.add.20": { value: 212 },
  "coupling.window.add.40": { value: 140 },
  "coupling.window.fall": { value: 648 / 140 },
  "coupling.epsilon.add.0.001": { value: 221 },
  "coupling.epsilon.add.0.005": { value: 212 },
  "coupling.epsilon.add.0.05": { value: 74 },
  "coupling.rank.within-5-percent": null,
  "coupling.probe-seed.within-5-percent": null,
  "coupling.epsilon.within-5-percent": null,
  "coupling.multitask.add.per-op-gradient.peak": { value: 31.5 },
  "coupling.multitask.sub.per-op-gradient.peak": { value: 44.9 },
  "coupling.multitask.mul.per-op-gradient.peak": { value: 23.8 },
  "coupling.multitask.x2_y2.per-op-gradient.peak": { value: 21.8 },
  "coupling.per-example.initial": { value: 27 },
  "coupling.per-example.middle": { value: 92 },
  "coupling.per-example.last": { value: 431 },
  "coupling.per-example.cosine": { low: 0.05, high: 0.35 },
  "centroids.agreement": { value: 0.79 },
  // In steps; the speed-ups of the arms are 3358 over 3300, 1525, 3358 and 1425.
  "intervention.add.control.gradient.speedup": { value: 3358 },
  "intervention.add.remove-sed.gradient.speedup": { value: 1.02 },
  "intervention.add.keep-sed.gradient.speedup": { value: 2.2 },
  "intervention.add.remove-random.gradient.speedup": { value: 1 },
  "intervention.add.keep-random.gradient.speedup": { value: 2.36 },
  "intervention.add.remove-sed.update.speedup": { value: 1.21 },
  "intervention.mul.remove-sed.gradient.speedup": null,
  "intervention.mul.keep-sed.gradient.speedup": null,
  "intervention.mul.remove-random.gradient.speedup": null,
  "intervention.mul.keep-random.gradient.speedup": null,
  "intervention.keep-current-sed": { value: 2.2 },
  "rebuttal.window-10-200": null,
  "rebuttal.noise-injection": { low: 80, high: 300 },
  "rebuttal.full-batch-alignment": null,
  "rebuttal.norm-ratio": null,
  "rebuttal.cosine": { value: 0.85 },
  "rebuttal.rank-3-energy": null,
  "robustness.optimizer-and-schedule": null,
  // Ours, not the paper's.
  "null.random-logits": null,
  "definition.sensitivity.add": null,
}

const published = { ...headlines, ...details }

/** All quantities of a claim. */
const quantitiesOf = ({ quantity, beside, controls }: Claim): ReadonlyArray<Quantity> => [
  quantity,
  ...Object.values(beside),
  ...Object.values(controls),
]

describe("the claims of the paper", () => {
  it("are the statements of the abstract, then the details of experiment.md, each once", () => {
    assert.deepStrictEqual(
      list.filter(({ isHeadline }) => isHeadline).map(({ id }) => id),
      Object.keys(headlines),
    )
    assert.sameMembers(
      list.map(({ id }) => id),
      Object.keys(published),
    )
    assert.strictEqual(new Set(list.map(({ id }) => id)).size, list.length)
  })

  it("name the published numbers", () => {
    for (const [id, numbers] of Object.entries(published)) {
      const { paper } = claimOf(id)
      if (numbers === null) assert.property(paper, "statement", id)
      else assert.deepStrictEqual(numbersOf(paper), numbers, id)
    }
  })

  it("give published speed-ups that are those of the published steps", () => {
    for (const [arm, steps] of [
      ["remove-sed", 3300],
      ["keep-sed", 1525],
      ["remove-random", 3358],
      ["keep-random", 1425],
    ] as const) {
      const { paper, statement } = claimOf(`intervention.add.${arm}.gradient.speedup`)
      assert.match(statement, new RegExp(`${steps} steps`))
      assertClose(["value" in paper ? paper.value : Number.NaN], [3358 / steps], 0.005, arm)
    }
  })

  it("say where a number was published", () => {
    for (const { id, paper } of list) assert.isAbove(paper.source.length, 0, id)
    for (const { id, paper } of list.filter(({ id }) => /^coupling\.(window|epsilon\.add)\./.test(id))) {
      assert.match(paper.source, /seed 42/, id)
    }
  })

  it("have a few words for a table, and say what each number is", () => {
    for (const claim of list) {
      assert.isAtMost(claim.short.length, 60, claim.id)
      for (const { definition, perSeed } of quantitiesOf(claim)) {
        assert.isAbove(definition.length, 20, claim.id)
        assert.notMatch(definition, /undefined|NaN|null\b/, claim.id)
        assert.isAbove(perSeed.length, 0, `${claim.id}: ${definition}`)
      }
    }
  })

  it("of the abstract are asked of all operations and seeds at once", () => {
    const runsOf = (id: string) => claimOf(id).quantity.perSeed.length
    for (const id of ["update-peaks", "gradient-peaks", "gap", "multitask-updates", "multitask-gradients"]) {
      assert.strictEqual(runsOf(`headline.${id}`), 4 * 3, id)
    }
    for (const id of ["rank-3-accelerates", "removing-rank-3", "rank-redundant"]) {
      assert.strictEqual(runsOf(`headline.${id}`), 2 * 3, id)
    }
  })

  it("are measured for as many seeds as there are", () => {
    const many = claims(paper({ ...paperScale, seeds: [42, 137, 2024, 1, 2] }))
    for (const { id, quantity } of many) {
      const seeds = new Set(quantity.perSeed.map(({ seed }) => seed)).size
      // Other optimisers ran for the first seed alone.
      assert.strictEqual(seeds, id.startsWith("robustness.") ? 1 : 5, id)
    }
  })

  it("exist for what a smaller scale has, and for nothing else", () => {
    const small = claims(paper(smokeScale)).map(({ id }) => id)
    assert.strictEqual(new Set(small).size, small.length)
    assert.isFalse(small.some((id) => /\.sub\.|x2_y2|intervention\.mul|window\.add\.2$/.test(id)))
    assert.includeMembers(Object.keys(published), small)
  })
})

describe("what stands beside a claim", () => {
  it("that is a peak are time means, means before and after grokking, and backward windows", () => {
    const peaks = list.filter(({ id }) =>
      /^coupling\.single\.\w+\.(update|gradient)\.peak$|^headline\.(update|gradient)-peaks$/.test(id),
    )
    assert.strictEqual(peaks.length, 10)
    for (const { id, beside } of peaks) {
      const names = ["time mean", "mean before grokking", "mean after grokking", "backward windows"]
      assert.containsAllKeys(beside, names, id)
    }
  })

  it("about gradients is ρ, which decides how it is read", () => {
    for (const id of [
      "headline.gradient-peaks",
      "headline.gap",
      "headline.multitask-gradients",
      "coupling.single.add.gradient.peak",
      "coupling.window.add.20",
      "coupling.multitask.mul.per-op-gradient.peak",
    ]) {
      const { beside, read } = claimOf(id)
      assert.property(beside, RHO, id)
      const judged = (value: number) =>
        read(
          { [RHO]: { value, low: value, high: value, perSeed: [] } },
          { value: 100, low: null, high: null, perSeed: [] },
        ).verdict
      assert.deepStrictEqual([1.1, 1.5, 3].map(judged), ["refuted", "not-supported", "supported"], id)
    }
  })

  it("about gradients are null objectives, as controls", () => {
    for (const id of ["headline.gradient-peaks", "headline.multitask-gradients"]) {
      assert.containsAllKeys(claimOf(id).controls, ["random logits", "permuted labels"], id)
    }
    assert.containsAllKeys(claimOf("headline.gradient-peaks").controls, [
      "x2_xy_y2, never groks",
      "x3_xy, never groks",
      "shuffled labels",
    ])
  })

  it("about several operations is the finer cadence", () => {
    const { quantity, beside } = claimOf("headline.multitask-updates")
    assert.match(quantity.definition, /updates every 200 steps/)
    assert.match(beside["every 25 steps, mean"].definition, /updates every 25 steps/)
    assert.match(beside["share of points above 1"].unit, /share/)
  })

  it("about kept directions is attention that never moves, and other controls", () => {
    for (const id of ["headline.rank-3-accelerates", "intervention.add.keep-sed.gradient.speedup"]) {
      assert.containsAllKeys(claimOf(id).controls, ["frozen (rank 0)", "noise", "decay only"], id)
    }
  })

  it("about removed directions is the share of the gradient's energy that they held", () => {
    assert.property(claimOf("headline.removing-rank-3").beside, "energy removed")
  })

  it("that is a speed-up are the other definitions of when a network grokked", () => {
    const arms = list.filter(({ id }) => /\.speedup$|accelerates|removing/.test(id) && !/control/.test(id))
    for (const { id, quantity, beside } of arms) {
      assert.match(quantity.definition, /to the stop rule/, id)
      assert.match(beside["to ≥ 0.5"]?.definition ?? "", /to first test accuracy ≥ 0\.5/, id)
      assert.match(beside["to ≥ 0.98"]?.definition ?? "", /to first test accuracy ≥ 0\.98/, id)
    }
  })

  it("of a run is when it grokked", () => {
    for (const { id, beside } of list.filter(({ id }) =>
      /^coupling\.(single\.\w+\.(u|gradient\.)|multitask\.)/.test(id),
    )) {
      assert.strictEqual(beside["grok step"]?.unit, STEPS, id)
    }
  })
})

describe("rows that should differ", () => {
  const rows = (pattern: RegExp) => list.filter(({ id }) => pattern.test(id)).map(({ quantity }) => quantity)

  it("are measured on different stages, and found in different places of the tables", () => {
    for (const pattern of [
      /^coupling\.window\.add/,
      /^coupling\.epsilon\.add/,
      /^coupling\.single\..*peak/,
    ]) {
      const found = rows(pattern)
      const stages = found.map(({ perSeed }) =>
        perSeed.flatMap(({ value }) => sources(value).map(({ label }) => label)).join(),
      )
      assert.strictEqual(new Set(stages).size, found.length, String(pattern))
      assert.strictEqual(new Set(found.map(({ recipe }) => JSON.stringify(recipe))).size, found.length)
    }
  })
})

/** Outputs for every stage of the paper, made up from its label; only what claims read is there. */
const resolving = (outputs: (node: Node<unknown>) => unknown): Resolve => {
  const known = new Map<Node<unknown>, Effect.Effect<unknown, Error>>()
  const resolve: Resolve = <Output>(node: Node<Output>) => {
    if (!isStage(node)) return node.run(resolve)
    const answer = known.get(node) ?? Effect.sync(() => outputs(node))
    known.set(node, answer)
    // What is made up for a stage is that stage's output, as far as it is read.
    return answer as ReturnType<Node<Output>["run"]>
  }
  return resolve
}

const value = (quantity: Quantity, seed: number, resolve: Resolve) =>
  Effect.gen(function* () {
    const node = quantity.perSeed.find((one) => one.seed === seed)
    return node === undefined ? undefined : yield* resolve(node.value)
  }).pipe(Effect.provide(idle()))

/** When runs grok: the natural ones after 3000 steps, arms after `steps` of their label, or never. */
const training = (steps: (label: string) => number | null) =>
  resolving(({ stage, label }) => {
    const stop = stage === "intervene" ? steps(label) : 3000
    return {
      firstHalf: stop === null ? null : stop - 1000,
      firstThreshold: stop === null ? null : stop - 500,
      stopStep: stop,
      finalTestAccuracy: stop === null ? 0.2 : 1,
    }
  })

describe("speed-ups of the interventions", () => {
  const keepSed = claimOf("intervention.add.keep-sed.gradient.speedup")

  it.effect("are steps of the natural run ÷ steps of the arm, of the same seed and definition", () =>
    Effect.gen(function* () {
      const resolve = training((label) => (label === "intervene add/137 keep-sed gradient" ? 1500 : null))
      assert.strictEqual(yield* value(keepSed.quantity, 137, resolve), 2)
      assert.strictEqual(yield* value(keepSed.beside["to ≥ 0.5"], 137, resolve), 4)
      assert.strictEqual(yield* value(keepSed.beside["to ≥ 0.98"], 137, resolve), 2.5)
    }),
  )

  it.effect("are 0 where the arm never got there", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* value(
          keepSed.quantity,
          42,
          training(() => null),
        ),
        0,
      )
    }),
  )

  it.effect("are null where the natural run never got there", () =>
    Effect.gen(function* () {
      const resolve = resolving(({ stage }) => ({ stopStep: stage === "intervene" ? 1500 : null }))
      assert.strictEqual(yield* value(keepSed.quantity, 42, resolve), null)
      const { number, measured } = yield* Effect.provide(
        evaluateClaim({ ...keepSed, beside: {}, controls: {} }, resolve),
        idle(),
      )
      assert.strictEqual(number?.verdict, "not-tested")
      assert.deepStrictEqual(
        measured.perSeed.map(({ value }) => value),
        [null, null, null],
      )
    }),
  )

  it.effect("over operations and seeds are one number for each pair", () =>
    Effect.gen(function* () {
      const any = claimOf("headline.rank-3-accelerates")
      const resolve = training((label) => (/ add\//.test(label) ? 750 : 3000))
      const row = yield* Effect.provide(evaluateClaim({ ...any, beside: {}, controls: {} }, resolve), idle())
      assert.deepStrictEqual(
        row.measured.perSeed.map(({ operation, seed, value }) => [operation, seed, value]),
        ["add", "mul"].flatMap((operation) =>
          [42, 137, 2024].map((seed) => [operation, seed, operation === "add" ? 4 : 1]),
        ),
      )
      assertClose([row.measured.value ?? Number.NaN], [2], 1e-12)
    }),
  )
})

describe("rank redundancy", () => {
  const claim = claimOf("headline.rank-redundant")
  const judged = (random: number | null, frozen: number | null) =>
    Effect.provide(
      evaluateClaim(
        claim,
        training((label) => (/ keep-random gradient/.test(label) ? random : frozen)),
      ),
      idle(),
    )

  it.effect("holds as a number where rank 3 is fast enough; frozen attention refutes its reading", () =>
    Effect.gen(function* () {
      const same = yield* judged(1500, 1500)
      assert.deepInclude(same.number, { verdict: "reproduced" })
      assert.deepInclude(same.reading, { verdict: "refuted" })
      assert.match(same.reading?.because ?? "", /noise the same, decay-only the same/)
      assert.deepInclude((yield* judged(1500, 2500)).reading, { verdict: "supported" })
    }),
  )
})

describe("operation dependence", () => {
  it.effect("is reproduced where gradients differ less than updates in every seed", () =>
    Effect.gen(function* () {
      const claim = claimOf("headline.operation-dependence")
      const judged = (gradient: number, update: number) => {
        const spread = (label: string) => (/ update /.test(label) ? update : gradient)
        const resolve = resolving(({ label }) => ({ peak: / mul\//.test(label) ? 10 * spread(label) : 10 }))
        return Effect.map(
          Effect.provide(evaluateClaim(claim, resolve), idle()),
          ({ number }) => number?.verdict,
        )
      }
      assert.strictEqual(yield* judged(2, 3), "reproduced")
      assert.strictEqual(yield* judged(3, 2), "not-reproduced")
    }),
  )
})

describe("the gap under another optimiser", () => {
  const claim = claimOf("robustness.optimizer-and-schedule")

  it.effect("is judged by every variant, in units of the paper's own at the same points", () =>
    Effect.gen(function* () {
      const resolve = resolving(({ stage, label }) => {
        if (stage === "train") return { firstThreshold: null }
        const gradient = /sgd/.test(label) ? 40 : 100
        const value = / update /.test(label) ? 10 : gradient
        return { peak: value, mean: value }
      })
      const row = yield* Effect.provide(evaluateClaim(claim, resolve), idle())
      assert.deepStrictEqual(row.number, { verdict: "partly", because: "fails in 1 of 4 cases: sgd 0.4" })
      assert.strictEqual(row.beside["sgd, grok step"]?.value, null)
      assert.strictEqual(row.beside["cosine, ρ"]?.unit, RATIO)
    }),
  )
})

describe("what the claims are computed from", () => {
  it("is one graph: a claim adds no second training of a run that another has", () => {
    const nodes = closure(
      list.flatMap((claim) =>
        quantitiesOf(claim).flatMap(({ perSeed }) => perSeed.map(({ value }) => value)),
      ),
    )
    const trainings = nodes.filter(({ stage }) => stage === "train").map(({ label }) => label)
    assert.strictEqual(new Set(trainings).size, trainings.length)
  })

  it("is a stage wherever a number is", () => {
    for (const { id, quantity } of list) {
      for (const { value } of quantity.perSeed) assert.isNotEmpty(sources(value), id)
    }
  })
})
