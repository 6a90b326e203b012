import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Claim, evaluateClaim, type Quantity, RATIO, STEPS } from "../../src/pipelines/Claim.ts"
import { claims } from "../../src/pipelines/claims.ts"
import { isStage, sources } from "../../src/pipelines/derive.ts"
import { closure, type Node, type Resolve } from "../../src/pipelines/Node.ts"
import { paper, paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import { RHO } from "../../src/pipelines/quantities.ts"
import { paperNodes } from "../../src/pipelines/registry.ts"
import { type Measured, type Published, Reading, Verdict } from "../../src/pipelines/verdicts.ts"
import { assertClose } from "../model/close.ts"
import { idle } from "./idle.ts"
import { askedBy } from "./recorder.ts"

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

/** What is asked of the stages that a claim's numbers are read from: a key for each stage and input. */
const keys = Effect.runSync(
  Effect.cached(
    Effect.map(
      askedBy(paperNodes(paperScale)),
      (asked) => new Map(asked.map(({ label, key }) => [label, key])),
    ),
  ),
)

describe("rows that should differ", () => {
  it.effect(
    "are measured by stages with other inputs, seed by seed, and found in other places of the tables",
    () =>
      Effect.gen(function* () {
        const keyOf = yield* keys
        for (const pattern of [
          /^coupling\.window\.add/,
          /^coupling\.epsilon\.add/,
          /^coupling\.single\..*peak/,
          /^coupling\.multitask\./,
          /^intervention\..*\.speedup/,
          /within-5-percent$/,
        ]) {
          const found = list.filter(({ id }) => pattern.test(id)).map(({ quantity }) => quantity)
          assert.isAbove(found.length, 1, String(pattern))
          const recipes = found.map(({ recipe }) => JSON.stringify(recipe))
          assert.strictEqual(new Set(recipes).size, found.length, String(pattern))
          for (const seed of paperScale.seeds) {
            const inputs = found.map(({ perSeed }) =>
              perSeed
                .filter((one) => one.seed === seed)
                .flatMap(({ value }) => sources(value).map(({ label }) => keyOf.get(label)))
                .sort(),
            )
            assert.isTrue(inputs.every((some) => some.length > 0 && !some.includes(undefined)))
            assert.strictEqual(new Set(inputs.map(String)).size, found.length, `${pattern}, seed ${seed}`)
          }
        }
      }),
  )

  it("include everything that stands beside or controls one claim", () => {
    for (const claim of list) {
      const recipes = quantitiesOf(claim).map(({ recipe }) => JSON.stringify(recipe))
      assert.strictEqual(new Set(recipes).size, recipes.length, claim.id)
    }
  })
})

describe("a recipe", () => {
  it("stands for one measurement: what has the same recipe is read from the same stages", () => {
    const stages = new Map<string, string>()
    for (const { recipe, perSeed } of list.flatMap(quantitiesOf)) {
      for (const { value, ...run } of perSeed) {
        const at = JSON.stringify([recipe, run])
        const labels = sources(value)
          .map(({ label }) => label)
          .sort()
          .join()
        assert.strictEqual(stages.get(at) ?? labels, labels, at)
        stages.set(at, labels)
      }
    }
    assert.isAbove(stages.size, 500)
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

/** What was measured, made up: so many runs, all of one value. */
const made = (value: number | null, seeds: ReadonlyArray<number> = [42, 137, 2024]): Measured => ({
  value,
  low: value,
  high: value,
  perSeed: seeds.map((seed) => ({ seed, value })),
})

/** What stands beside a claim, made up by name. */
const madeBeside = ({ beside }: Claim, values: (name: string) => number | null) =>
  Object.fromEntries(Object.keys(beside).map((name) => [name, made(values(name))]))

/** The verdict on the number of a claim. */
const judged = (id: string, measured: number | null, beside: (name: string) => number | null = () => 1) => {
  const claim = claimOf(id)
  return claim.judge(made(measured), madeBeside(claim, beside), claim.paper)
}

describe("a judgement", () => {
  it("is one of the four or five words of its kind, with a sentence, and never that the paper is contradicted", () => {
    for (const claim of list) {
      const others = { ...claim.beside, ...claim.controls }
      for (const value of [null, 0, 0.01, 0.9, 1, 2, 30, 200, 3000]) {
        for (const other of [null, 0, 0.5, 1, 2, 200]) {
          const beside = Object.fromEntries(Object.keys(others).map((name) => [name, made(other)]))
          const number = claim.judge(made(value), beside, claim.paper)
          const reading = claim.read(beside, made(value))
          assert.include(Verdict.literals, number.verdict)
          assert.include(Reading.literals, reading.verdict)
          for (const { because } of [number, reading]) {
            assert.isAbove(because.length, 10, claim.id)
            assert.notMatch(because, /contradict|NaN|Infinity|undefined/i, claim.id)
          }
        }
      }
      assert.notMatch(`${claim.short} ${claim.statement}`, /contradict/i)
    }
  })

  it("is not-tested where no run yields a number, and of a reading where no rule compares it with a control", () => {
    for (const { id, judge, read, paper } of list) {
      assert.strictEqual(judge(made(null), {}, paper).verdict, "not-tested", id)
      assert.strictEqual(read({}, made(null)).verdict, "not-tested", id)
    }
    for (const id of [
      "headline.update-peaks",
      "headline.operation-dependence",
      "coupling.per-example.last",
    ]) {
      assert.deepStrictEqual(claimOf(id).read({}, made(5)), {
        verdict: "not-tested",
        because: "no rule compares it with a control",
      })
    }
  })

  it("of the gap counts the runs below tenfold, and says what it is by time means", () => {
    const { judge, paper } = claimOf("headline.gap")
    const measured = { ...made(20), perSeed: [9, 30, 40].map((value, seed) => ({ seed, value })) }
    const { verdict, because } = judge(measured, { "means ÷ means": made(7) }, paper)
    assert.strictEqual(verdict, "reproduced")
    assert.match(because, /1 below 10; by time means the gap is 7$/)
  })

  it("of aggregation has no published number, and is read by summed ÷ own loss", () => {
    const { judge, read, paper, quantity } = claimOf("headline.aggregation")
    assert.strictEqual(judge(made(0.9), {}, paper).verdict, "not-tested")
    assert.match(quantity.definition, /mean over points.*summed loss.*÷ that of gradients of the own loss/)
    assert.deepStrictEqual(
      [0.8, 0.79, 0.5].map((value) => read({}, made(value)).verdict),
      ["refuted", "not-supported", "supported"],
    )
  })

  it("of several operations' updates goes by the time mean, at the other cadence for its reading", () => {
    for (const id of ["headline.multitask-updates", "coupling.multitask.mul.update"]) {
      const { read } = claimOf(id)
      assert.strictEqual(judged(id, 1.25).verdict, "reproduced")
      assert.strictEqual(judged(id, 2).verdict, "partly")
      assert.strictEqual(judged(id, 2.01).verdict, "not-reproduced")
      const at = (value: number) => read({ "every 25 steps, mean": made(value) }, made(0.5)).verdict
      assert.deepStrictEqual([at(1), at(1.01)], ["supported", "not-supported"], id)
    }
  })

  it("of removing three directions is read by the share of energy that they held", () => {
    const { read } = claimOf("headline.removing-rank-3")
    const at = (value: number) => read({ "energy removed": made(value) }, made(1)).verdict
    assert.deepStrictEqual([at(0.5), at(0.49)], ["supported", "not-supported"])
  })

  it("of 5 % is one of every case", () => {
    for (const choice of ["rank", "probe-seed", "epsilon"]) {
      const id = `coupling.${choice}.within-5-percent`
      assert.strictEqual(judged(id, 1.049, () => 0.951).verdict, "reproduced", id)
      assert.strictEqual(judged(id, 1.051, () => 0.949).verdict, "not-reproduced", id)
    }
    assert.strictEqual(judged("coupling.rank.within-5-percent", 1.06).verdict, "partly")
    assert.deepStrictEqual(
      Object.keys(claimOf("coupling.rank.within-5-percent").beside),
      ["K = 5", "K = 10"],
      "K = 1 is the number itself, and 3 what it is compared with",
    )
  })

  it("of another definition, optimiser or schedule asks for half of the published gap", () => {
    assert.strictEqual(judged("definition.sensitivity.add", 30, () => 15).verdict, "reproduced")
    assert.strictEqual(judged("definition.sensitivity.add", 30, () => 14.9).verdict, "not-reproduced")
    assert.strictEqual(
      judged("definition.sensitivity.add", 30, (name) => (name === "R₁" ? 1 : 30)).verdict,
      "partly",
    )
    const robustness = "robustness.optimizer-and-schedule"
    assert.strictEqual(judged(robustness, 0.5, () => 0.5).verdict, "reproduced")
    assert.strictEqual(judged(robustness, 0.49, () => 0.5).verdict, "partly")
  })

  it("of long windows asks for more than 100 in each, and of gradients alone", () => {
    const id = "rebuttal.window-10-200"
    const gradients = (value: number) => (name: string) => (/^update/.test(name) ? 1 : value)
    assert.strictEqual(judged(id, 101, gradients(101)).verdict, "reproduced")
    assert.strictEqual(judged(id, 100, gradients(101)).verdict, "partly")
    assert.strictEqual(judged(id, 100, gradients(100)).verdict, "not-reproduced")
  })

  it("of noise has both readings of the batch's variance", () => {
    const id = "rebuttal.noise-injection"
    const of = (own: number, mixed: number) =>
      judged(id, own, (name) => (name === "1× the mixed batch's variance" ? mixed : 1)).verdict
    assert.deepStrictEqual(
      [of(64, 375), of(63, 375), of(64, 376), of(63, 376)],
      ["reproduced", "partly", "partly", "not-reproduced"],
    )
  })

  it("of alignment asks for less than 5 %, whichever set is meant", () => {
    const id = "rebuttal.full-batch-alignment"
    const pairs = (value: number) => (name: string) => (/ and /.test(name) ? value : 100)
    assert.strictEqual(judged(id, 0.049, pairs(0.049)).verdict, "reproduced")
    assert.strictEqual(judged(id, 0.05, pairs(0.049)).verdict, "partly")
    assert.strictEqual(judged(id, 0.05, pairs(0.05)).verdict, "not-reproduced")
  })

  it("of a projection looks at every arm that keeps or removes something, and names the nearest", () => {
    const [norm, cosine] = ["rebuttal.norm-ratio", "rebuttal.cosine"]
    assert.sameMembers(Object.keys(claimOf(norm).beside), [
      "remove-sed",
      "keep-random",
      "remove-random",
      "keep-sed, updates",
      "remove-sed, updates",
      "keep-random, updates",
      "remove-random, updates",
    ])
    const near = judged(norm, 0.5, (name) => (name === "remove-random" ? 0.999 : 0.9))
    assert.strictEqual(near.verdict, "partly")
    assert.match(near.because, /^nearest is remove-random, 0\.0010 off/)
    assert.strictEqual(judged(norm, 0.98, () => 0.98).verdict, "not-reproduced")
    assert.strictEqual(judged(cosine, 0.89, () => 0.81).verdict, "reproduced")
    assert.strictEqual(judged(cosine, 0.5, () => 0.91).verdict, "not-reproduced")
  })

  it("of rank-3 energy is about updates, however much gradients have", () => {
    const id = "rebuttal.rank-3-energy"
    assert.strictEqual(judged(id, 0.951, () => 0.1).verdict, "reproduced")
    assert.strictEqual(judged(id, 0.95, () => 0.99).verdict, "not-reproduced")
    assert.match(claimOf(id).quantity.definition, /updates/)
  })

  it("of another operation's arm is whether its class is that of add", () => {
    const keep = "intervention.mul.keep-sed.gradient.speedup"
    assert.strictEqual(judged(keep, 1.1).verdict, "reproduced")
    assert.strictEqual(judged(keep, 1.09).verdict, "not-reproduced")
    const remove = "intervention.mul.remove-sed.gradient.speedup"
    assert.strictEqual(judged(remove, 1.09).verdict, "reproduced")
    assert.strictEqual(judged(remove, 0.9).verdict, "not-reproduced")
  })

  it("of the fall with W is by a factor from 4.6", () => {
    const factor = 648 / 140
    assert.strictEqual(judged("coupling.window.fall", factor * 1.49).verdict, "reproduced")
    assert.strictEqual(judged("coupling.window.fall", factor * 2.9).verdict, "partly")
    assert.strictEqual(judged("coupling.window.fall", 1).verdict, "not-reproduced")
  })
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
