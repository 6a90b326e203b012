import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { settings } from "../../src/pipelines/interventions.ts"
import { estimators } from "../../src/pipelines/multitask.ts"
import { paper, paperScale, seedsOf, smokeScale } from "../../src/pipelines/paper.ts"
import { paperNodes } from "../../src/pipelines/registry.ts"
import { targets } from "../../src/pipelines/single.ts"
import { paper as singlePaper } from "../../src/pipelines/sizes.ts"
import { type Asked, askedBy } from "./recorder.ts"

const counts = (stages: ReadonlyArray<{ readonly stage: string }>) =>
  Object.fromEntries(
    [...Map.groupBy(stages, ({ stage }) => stage)].map(([stage, all]) => [stage, all.length]),
  )

/** Each key once. */
const distinct = (asked: ReadonlyArray<Asked>): ReadonlyArray<Asked> => [
  ...new Map(asked.map((one) => [one.key, one])).values(),
]

const whole = paper(paperScale)
const recorded = Effect.runSync(Effect.cached(askedBy(paperNodes(paperScale))))

const inputOf = (asked: ReadonlyArray<Asked>, label: string) => {
  const found = asked.find((one) => one.label === label)
  if (found === undefined) throw new Error(`nothing asked for ${label}`)
  return found.input
}

describe("seeds", () => {
  it("are those of the paper, then 1, 2, …", () => {
    assert.deepStrictEqual(seedsOf(1), [42])
    assert.deepStrictEqual(seedsOf(3), [42, 137, 2024])
    assert.deepStrictEqual(seedsOf(6), [42, 137, 2024, 1, 2, 3])
  })

  it("never repeat, and more of them begin with fewer", () => {
    const many = seedsOf(100)
    assert.strictEqual(new Set(many).size, 100)
    for (const count of [1, 2, 3, 10]) assert.deepStrictEqual(seedsOf(count), many.slice(0, count))
  })
})

describe("the paper's scale", () => {
  it("is that of experiment.md", () => {
    assert.deepStrictEqual(paperScale.single, singlePaper)
    assert.deepStrictEqual(paperScale.seeds, [42, 137, 2024])
    assert.deepStrictEqual(paperScale.operations, ["add", "sub", "mul", "x2_y2"])
    assert.deepStrictEqual(paperScale.nonGrokking, ["x2_xy_y2", "x3_xy"])
    assert.includeMembers([...paperScale.sensitivity.windows], [1, 2, 5, 10, 20, 40])
    assert.includeMembers([...paperScale.sensitivity.epsilons], [0.001, 0.005, 0.05, 0])
    assert.deepInclude(paperScale.multitask, { points: 30, strides: [1, 8] })
    assert.deepStrictEqual(paperScale.multitask.train, {
      ...singlePaper.train,
      maxSteps: 30_000,
      stop: { accuracy: 0.98, count: 3, consecutive: true, every: 100, latched: true },
    })
    assert.deepStrictEqual(paperScale.interventions, {
      operations: ["add", "mul"],
      window: 20,
      rank: 3,
      warmup: 20,
    })
    assert.strictEqual(paperScale.controlPoints, 20)
    assert.strictEqual(paperScale.sensitivity.points, 20)
  })
})

describe("what is computed", () => {
  it.effect("is a stage of every kind, so many of each", () =>
    Effect.gen(function* () {
      const [operations, seeds, variants] = [4, 3, 4]
      const controls = 2 + 1 + variants
      const arms = settings.length
      const draws = operations * paperScale.objectiveDraws.length
      const { windows, epsilons, probeSeeds, noise: multiples, fine } = paperScale.sensitivity
      // Each multiple of the training minibatch's variance and of the mixed batch's.
      const noise = 2 * multiples.length
      // Four batches of the loss, one of random logits, and gradients and random logits of the run's own draws.
      const batches = 4 + 1
      const own = 2
      // Gradients of the loss, of random logits and of permuted labels.
      const objectives = 3
      // Each operation's own loss and the sum at both strides, its null objectives at the published one; the first seed's
      // trained pairs, which are the published range of `mul`.
      const multitask = (2 * (operations + 1) + 2 * operations) * seeds + 3 * (operations - 1)
      assert.deepStrictEqual(counts(distinct(yield* recorded)), {
        // One for each single run, non-grokking operation and shuffled labels, and for each multitask run.
        "generate-data": operations * seeds + 2 + 1 + seeds,
        // The finer cadence, and variants on the data of add, are trainings of their own.
        train: operations * seeds + controls + 1 + seeds,
        "capture-gradients":
          objectives * (operations * seeds + controls) + draws + (batches + own) * seeds + 1 + multitask,
        // Updates and three objectives, published and backward; controls and the baseline's permuted labels as published;
        // then windows, where the usual one is the run's own at fewer points, the highest K, batches, own draws and noise.
        "rolling-svd":
          8 * operations * seeds +
          4 * controls +
          1 +
          draws +
          (3 * windows.length + 1 + batches + own + noise) * seeds +
          2 * fine.windows.length +
          multitask +
          2 * seeds,
        // One more for each ε but the usual, for the other centroids, for other probes and for own draws.
        "measure-null":
          operations * seeds +
          controls +
          (1 + (epsilons.length - 1) + 1 + probeSeeds.length + 1) * seeds +
          1 +
          operations * seeds +
          (operations - 1),
        "measure-coupling":
          8 * operations * seeds +
          4 * controls +
          1 +
          draws +
          (3 * (windows.length + (epsilons.length - 1) + 1 + probeSeeds.length + 1) + 1 + batches + noise) *
            seeds +
          2 * fine.windows.length +
          // Updates, own and summed loss at both strides, null objectives at the published one.
          (3 * 2 + 2) * operations * seeds +
          5 * (operations - 1),
        intervene: 2 * seeds * arms,
        "measure-per-example": seeds,
        "compare-directions": 3 * seeds,
        "read-features": operations * seeds,
      })
    }),
  )

  it.effect("is never called the same where it is not the same", () =>
    Effect.gen(function* () {
      const labels = Map.groupBy(distinct(yield* recorded), ({ label }) => label)
      assert.deepStrictEqual(
        [...labels].filter(([, asked]) => asked.length > 1).map(([label]) => label),
        [],
      )
    }),
  )

  it("has a node for each label, but for directions that several probes share", () => {
    const labels = paperNodes(paperScale).map(({ label }) => label)
    const repeated = labels.filter((label, i) => labels.indexOf(label) !== i)
    assert.deepStrictEqual(
      repeated.filter((label) => !/^(rolling-svd|capture-gradients|generate-data) /.test(label)),
      [],
    )
  })

  it.effect("starts from the same data wherever operation, labels and seed are the same", () =>
    Effect.gen(function* () {
      const inputs = (yield* recorded).filter(({ stage }) => stage === "generate-data")
      const named = new Set(
        inputs.map(({ input: { operations, labels, seed } }) => JSON.stringify([operations, labels, seed])),
      )
      assert.strictEqual(named.size, distinct(inputs).length)
    }),
  )

  it.effect("at the smoke scale is small", () =>
    Effect.gen(function* () {
      const asked = distinct(yield* askedBy(paperNodes(smokeScale)))
      assert.isBelow(asked.length, 350)
      for (const { stage, input } of asked) {
        if (stage === "train" || stage === "intervene") {
          assert.nestedPropertyVal(input, "data.modulus", 23)
          assert.isAtMost(Object(input.train).maxSteps, 1500)
        }
      }
      assert.sameMembers(Object.keys(counts(asked)), Object.keys(counts(yield* recorded)))
    }),
  )

  it("with one seed is what three seeds need of it, and nothing else", () => {
    const one = paperNodes({ ...paperScale, seeds: seedsOf(1) }).map(({ label }) => label)
    assert.includeMembers(
      paperNodes(paperScale).map(({ label }) => label),
      one,
    )
    assert.isFalse(one.some((label) => /\/(137|2024)\b/.test(label)))
  })
})

describe("interventions", () => {
  it("are every arm of experiment.md §6 but the control, in every version that has a meaning", () => {
    const arms = settings.map(({ id, version }) => `${id} ${version}`)
    assert.sameMembers(arms, [
      "remove-sed gradient",
      "keep-sed gradient",
      "remove-random gradient",
      "keep-random gradient",
      "keep-random-norm-matched gradient",
      "frozen gradient",
      "frozen-after-warmup gradient",
      "decay-only gradient",
      "noise gradient",
      "natural-buffer-remove-sed gradient",
      "natural-buffer-keep-sed gradient",
      "remove-sed update",
      "keep-sed update",
      "remove-random update",
      "keep-random update",
    ])
    for (const { id, buffer } of settings) {
      assert.strictEqual(buffer, id.startsWith("natural-buffer") ? "natural" : "modified", id)
    }
  })

  it("have the natural run of the same operation and seed as their control", () => {
    const found = whole.interventions.map(({ operation, seed, control }) => {
      assert.deepInclude(control.config, { seed })
      assert.strictEqual(control.config.data.operation, operation)
      assert.isTrue(whole.singles.includes(control), "the control is a run that is there anyway")
      return `${operation}/${seed}`
    })
    assert.deepStrictEqual(found, ["add/42", "add/137", "add/2024", "mul/42", "mul/137", "mul/2024"])
  })

  it.effect("differ from their control in nothing but the arm", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      for (const { operation, seed, arms } of whole.interventions) {
        const natural = inputOf(asked, `train ${operation}/${seed}`)
        for (const { id, version, arm, buffer } of arms) {
          const { intervention, ...rest } = inputOf(asked, `intervene ${operation}/${seed} ${id} ${version}`)
          assert.deepStrictEqual(rest, { ...natural, block: "attention", natural: null })
          assert.deepStrictEqual(intervention, { arm, version, buffer, window: 20, rank: 3, warmup: 20 })
        }
      }
    }),
  )
})

describe("multitask runs", () => {
  it("are coupled every 8 checkpoints and every checkpoint, the first seed with trained pairs, too", () => {
    for (const [i, { couplings, operations }] of whole.multitasks.entries()) {
      const nulls = ["random-logits", "permuted-labels"]
      const expected = operations.flatMap((operation) =>
        estimators.flatMap((estimator) => [
          `${operation} ${estimator} 8 published`,
          ...(nulls.includes(estimator) ? [] : [`${operation} ${estimator} 1 published`]),
          ...(i === 0 ? [`${operation} ${estimator} 8 trained`] : []),
        ]),
      )
      assert.sameMembers(
        couplings.map(
          ({ operation, estimator, stride, range }) => `${operation} ${estimator} ${stride} ${range}`,
        ),
        expected,
      )
    }
  })

  it.effect("have rows as far apart as their stride, at the same points for every stride", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      for (const [stride, seed] of [
        [1, 42],
        [8, 42],
        [8, 2024],
      ] as const) {
        const svd = { window: 20, rank: 3, points: 30, every: 8, placement: "published" }
        const own = inputOf(asked, `rolling-svd multitask/${seed} mul loss stride ${stride}`)
        assert.deepStrictEqual(own.svd, svd)
        assert.nestedPropertyVal(own, "rows.gradients.stride", stride)
        const update = inputOf(asked, `rolling-svd multitask/${seed} update stride ${stride}`)
        assert.deepStrictEqual(update.svd, svd)
        assert.nestedPropertyVal(update, "rows.stride", stride)
      }
    }),
  )

  it.effect("capture the gradient of each operation's own loss, and that of their sum", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      const capture = (qualifier: string) =>
        inputOf(asked, `capture-gradients multitask/42 ${qualifier} stride 8`).capture
      for (const [task, operation] of ["add", "sub", "mul", "x2_y2"].entries()) {
        // Published batches hold pairs with a 0, but for `mul`.
        const batch = operation === "mul" ? "mixed" : "grid"
        const own = { task, batch, batchSize: 512, stride: 8 }
        assert.deepInclude(capture(`${operation} loss`), { ...own, objective: "loss" })
        assert.deepInclude(capture(`${operation} random-logits`), { ...own, objective: "random-logits" })
      }
      assert.deepInclude(capture("summed gradient"), { task: null, batch: "mixed" })
    }),
  )

  it.effect("watch each operation's own centroids, of all pairs but for `mul`, or of trained pairs", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      for (const [task, operation] of ["add", "sub", "mul", "x2_y2"].entries()) {
        const probe = (qualifier: string) => inputOf(asked, `measure-null multitask/42 ${qualifier}`).probe
        const from = operation === "mul" ? "table" : "grid"
        assert.deepInclude(probe(operation), { task, from, probes: 1024, epsilon: 0.005 })
        assert.deepInclude(probe(`${operation} trained pairs`), { task, from: "table" })
      }
    }),
  )

  it.effect("train all four operations at once, until each was seen three times in a row", () =>
    Effect.gen(function* () {
      const { data, train } = inputOf(yield* recorded, "train multitask/137")
      assert.deepStrictEqual(Object(data).operations, ["add", "sub", "mul", "x2_y2"])
      assert.deepInclude(train, {
        maxSteps: 30_000,
        stop: { accuracy: 0.98, count: 3, consecutive: true, every: 100, latched: true },
      })
    }),
  )
})

describe("sensitivity analyses", () => {
  it.effect("read as many rows as their window says, of as many directions as it has", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      for (const window of paperScale.sensitivity.windows) {
        for (const kind of ["update", "gradient", "random-logits"]) {
          const { svd } = inputOf(asked, `rolling-svd add/137 ${kind} W=${window}`)
          const rank = Math.min(window, 3)
          assert.deepStrictEqual(svd, { window, rank, points: 20, every: 1, placement: "published" })
        }
      }
    }),
  )

  it.effect("with a finer cadence stop after the same span of steps", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      const usual = Object(inputOf(asked, "train add/42").train)
      const fine = Object(inputOf(asked, "train add/42 every 10").train)
      assert.strictEqual(fine.evaluateEvery, 10)
      assert.strictEqual(fine.stop.count * fine.evaluateEvery, usual.stop.count * usual.evaluateEvery)
      assert.deepStrictEqual({ ...fine, evaluateEvery: usual.evaluateEvery, stop: usual.stop }, { ...usual })
    }),
  )

  it.effect("of the batch differ in the batch alone", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      const usual = inputOf(asked, "capture-gradients add/2024")
      for (const batch of ["train", "mixed-full", "train-full", "step"]) {
        const { capture, ...rest } = inputOf(asked, `capture-gradients add/2024 ${batch}`)
        const { data, run, block, seed } = usual
        // Minibatches are those of the training; the other batches are one draw for all seeds.
        assert.deepStrictEqual(rest, { data, run, block, seed: batch === "step" ? 2024 : seed })
        assert.deepStrictEqual(capture, { ...Object(usual.capture), batch })
      }
    }),
  )
})

describe("another block of the parameters", () => {
  it.effect("is that of every stage that knows a block, and no training's", () =>
    Effect.gen(function* () {
      const ofMlp = paper({ ...paperScale, single: { ...paperScale.single, block: "mlp" } })
      const { singles, sensitivities, fine, multitasks, interventions } = ofMlp
      const asked = yield* askedBy([
        ...singles.slice(0, 1).flatMap(targets),
        ...sensitivities[0].batches.map(({ coupling }) => coupling),
        ...sensitivities[0].noise.map(({ coupling }) => coupling),
        sensitivities[0].perExample,
        ...fine.windows.flatMap(({ update, gradient }) => [update, gradient]),
        ...multitasks[0].couplings.map(({ coupling }) => coupling),
        ...interventions[0].arms.map(({ run }) => run),
      ])
      const usual = new Set((yield* recorded).map(({ key }) => key))
      for (const { label, stage, key, input } of asked) {
        const text = JSON.stringify(input)
        assert.notInclude(text, '"block":"attention"', label)
        const isNatural = stage === "generate-data" || stage === "train"
        assert.strictEqual(text.includes('"block":"mlp"'), !isNatural, label)
        assert.strictEqual(usual.has(key), isNatural, label)
      }
    }),
  )
})

describe("controls and variants", () => {
  it.effect("change what they say and nothing else", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      const { data, train, model, seed } = inputOf(asked, "train add/42")
      for (const { variant } of whole.robustness) {
        const changed = inputOf(asked, `train add/42 ${variant.id}`)
        assert.deepStrictEqual(changed, { data, model, seed, train: { ...Object(train), ...variant.train } })
      }
      const shuffled = inputOf(asked, "train add/42 shuffled labels")
      assert.nestedPropertyVal(shuffled, "data.labels", "shuffled")
      assert.deepStrictEqual(shuffled.train, { ...Object(train), maxSteps: 4000 })
    }),
  )

  it.effect("of operations that do not grok are trained like the others", () =>
    Effect.gen(function* () {
      const asked = yield* recorded
      const { train, model } = inputOf(asked, "train add/42")
      for (const operation of ["x2_xy_y2", "x3_xy"]) {
        const control = inputOf(asked, `train ${operation}/42`)
        assert.deepStrictEqual({ train: control.train, model: control.model }, { train, model })
        assert.deepStrictEqual(Object(control.data).operations, [operation])
      }
    }),
  )
})
