import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { closure } from "../../src/pipelines/Node.ts"
import { kinds, measuredPlacements, SingleConfig, single, targets } from "../../src/pipelines/single.ts"
import { paper, smoke } from "../../src/pipelines/sizes.ts"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { fixedBatch, loadPairs } from "../../src/stages/pairs.ts"
import { drawProbes } from "../../src/stages/probes.ts"
import { temporaryStore } from "../services/store/temporary.ts"
import { APART, leaves, matching, withLeaf } from "./leaves.ts"
import { askedBy } from "./recorder.ts"
import { labels, laboratory, runSingle, settings, tiny } from "./tiny.ts"

describe("the configurations", () => {
  it("are valid, and the paper's is that of experiment.md", () => {
    for (const config of [paper, smoke, tiny]) {
      assert.deepStrictEqual(Schema.decodeUnknownSync(SingleConfig)(config), config)
    }
    assert.deepStrictEqual(paper, {
      seed: 42,
      data: { operation: "add", modulus: 97, trainFraction: 0.5, labels: "true" },
      model: { width: 128, heads: 4, feedForward: 256, layers: 2 },
      train: {
        optimizer: "adamw",
        schedule: { kind: "constant" },
        learningRate: 0.001,
        beta1: 0.9,
        beta2: 0.98,
        epsilon: 1e-8,
        weightDecay: 1,
        clipNorm: 1,
        batchSize: 512,
        maxSteps: 8000,
        evaluateEvery: 25,
        stop: { accuracy: 0.98, count: 20, consecutive: false, every: 1, latched: false },
      },
      block: "attention",
      sampling: "published",
      capture: {
        batch: "mixed",
        batchSize: 512,
        task: null,
        stride: 1,
        objective: "loss",
        objectiveDraw: 0,
      },
      svd: { window: 20, rank: 3, updates: "checkpoint", points: 40, every: 1 },
      probe: { probes: 1024, epsilon: 0.005, centroid: "correct-logit", from: "table", task: 0, draws: 20 },
    })
  })
})

describe("single", () => {
  const nodes = closure(targets(single(paper)))

  it("trains once, captures each objective once, and couples each kind of rows with both placements", () => {
    assert.deepStrictEqual(kinds, ["update", "gradient", "random-logits", "permuted-labels"])
    assert.deepStrictEqual(measuredPlacements, ["published", "backward"])
    assert.sameMembers(
      nodes.map(({ label }) => label),
      [
        "generate-data",
        "train",
        "capture-gradients",
        "capture-gradients random-logits",
        "capture-gradients permuted-labels",
        "measure-null",
        ...["rolling-svd", "measure-coupling"].flatMap((stage) =>
          kinds.flatMap((kind) => measuredPlacements.map((placement) => `${stage} ${kind} ${placement}`)),
        ),
      ],
    )
  })

  it("gives every node what it needs and nothing else", () => {
    const after = Object.fromEntries(
      nodes.map(({ label, upstream }) => [label, [...new Set(upstream.map(({ label }) => label))].sort()]),
    )
    assert.deepStrictEqual(after["generate-data"], [])
    assert.deepStrictEqual(after.train, ["generate-data"])
    assert.deepStrictEqual(after["measure-null"], ["generate-data", "train"])
    const captures = {
      gradient: "capture-gradients",
      "random-logits": "capture-gradients random-logits",
      "permuted-labels": "capture-gradients permuted-labels",
    }
    for (const placement of measuredPlacements) {
      assert.deepStrictEqual(after[`rolling-svd update ${placement}`], ["train"])
      assert.deepStrictEqual(after[`measure-coupling update ${placement}`], [
        "generate-data",
        "measure-null",
        `rolling-svd update ${placement}`,
        "train",
      ])
      for (const [kind, capture] of Object.entries(captures)) {
        assert.deepStrictEqual(after[capture], ["generate-data", "train"])
        assert.deepStrictEqual(after[`rolling-svd ${kind} ${placement}`], [capture, "train"])
        assert.deepStrictEqual(after[`measure-coupling ${kind} ${placement}`], [
          capture,
          "generate-data",
          "measure-null",
          `rolling-svd ${kind} ${placement}`,
          "train",
        ])
      }
    }
  })

  it("ends with the training and the eight couplings", () => {
    assert.deepStrictEqual(
      targets(single(paper)).map(({ label }) => label),
      [
        "train",
        "measure-coupling update published",
        "measure-coupling update backward",
        "measure-coupling gradient published",
        "measure-coupling gradient backward",
        "measure-coupling random-logits published",
        "measure-coupling random-logits backward",
        "measure-coupling permuted-labels published",
        "measure-coupling permuted-labels backward",
      ],
    )
  })

  it("takes a configuration without the newer fields for the paper's", () => {
    const { block: _, sampling: __, svd, ...rest } = paper
    const { updates: ___, ...older } = svd
    assert.deepStrictEqual(Schema.decodeUnknownSync(SingleConfig)({ ...rest, svd: older }), paper)
  })
})

describe("what a run is measured with", () => {
  /** What is drawn for a run, by the labels of the nodes that draw it. */
  const drawn = Effect.fn("drawn")(function* (config: SingleConfig) {
    const asked = yield* askedBy(targets(single(config)))
    return Object.fromEntries(asked.map(({ label, input }) => [label, input]))
  })
  const measuring = /^(capture-gradients|measure-null|measure-coupling)/

  it.effect("is drawn under one key for all seeds of the training, where sampling is published", () =>
    Effect.gen(function* () {
      for (const seed of [42, 137]) {
        const inputs = yield* drawn({ ...tiny, seed, sampling: "published" })
        for (const [label, { seed: own }] of Object.entries(inputs)) {
          if (measuring.test(label)) assert.strictEqual(own, 0, label)
          else if (own !== undefined) assert.strictEqual(own, seed, label)
        }
      }
    }),
  )

  it.effect("is drawn under the seed of the training, where sampling is per seed", () =>
    Effect.gen(function* () {
      for (const seed of [42, 137]) {
        const inputs = yield* drawn({ ...tiny, seed, sampling: "per-seed" })
        for (const [label, { seed: own }] of Object.entries(inputs)) {
          if (own !== undefined || measuring.test(label)) assert.strictEqual(own, seed, label)
        }
      }
    }),
  )

  it.effect(
    "does not touch the minibatches of the training, whose gradients are captured under its seed",
    () =>
      Effect.gen(function* () {
        for (const sampling of ["published", "per-seed"] as const) {
          const capture = { ...tiny.capture, batch: "step" } as const
          const inputs = yield* drawn({ ...tiny, seed: 137, sampling, capture })
          assert.strictEqual(inputs.train.seed, 137)
          assert.strictEqual(inputs["capture-gradients"].seed, 137)
        }
      }),
  )

  it.effect(
    "is the same batch, the same probes and the same directions for two seeds, or others per seed",
    () =>
      Effect.gen(function* () {
        const draws = Effect.fn("draws")(function* (sampling: SingleConfig["sampling"], seed: number) {
          const { operation, ...rest } = tiny.data
          const data = yield* generateData.run(
            { ...rest, operations: [operation], seed },
            { entries: [], advance: () => Effect.void },
          )
          const { all, train } = yield* loadPairs(data)
          const inputs = yield* drawn({ ...tiny, seed, sampling })
          const seedOf = (label: string) => Number(inputs[label].seed)
          return {
            trained: train,
            measured: {
              batch: fixedBatch(all, 8, null, seedOf("capture-gradients")),
              probes: yield* drawProbes(data, tiny.probe, seedOf("measure-null")),
              coupled: yield* drawProbes(data, tiny.probe, seedOf("measure-coupling update published")),
              direction: randomDirection(seedOf("measure-null"), 25, 0, 16),
            },
          }
        })
        const [one, other] = [yield* draws("published", 42), yield* draws("published", 137)]
        assert.notDeepEqual(one.trained, other.trained)
        assert.deepStrictEqual(one.measured, other.measured)
        assert.deepStrictEqual(one.measured.probes, one.measured.coupled)
        const [own, others] = [yield* draws("per-seed", 42), yield* draws("per-seed", 137)]
        for (const what of ["batch", "probes", "coupled", "direction"] as const) {
          assert.notDeepEqual(own.measured[what], others.measured[what], what)
        }
      }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("the rows of the update SED", () => {
  const configOf = (updates: SingleConfig["svd"]["updates"]): SingleConfig => ({
    ...tiny,
    svd: { ...tiny.svd, updates },
  })
  const updateSedsOf = (config: SingleConfig) =>
    single(config).couplings.filter(({ kind }) => kind === "update")

  it("of steps come from a capture for each placement, and those of displacements from the training alone", () => {
    const upstream = (updates: SingleConfig["svd"]["updates"]) =>
      updateSedsOf(configOf(updates)).map(({ sed }) => [...new Set(sed.upstream.map(({ label }) => label))])
    assert.deepStrictEqual(upstream("checkpoint"), [["train"], ["train"]])
    // An expanding window looks back by itself: there is one placement.
    assert.deepStrictEqual(upstream("expanding"), [["train"]])
    assert.deepStrictEqual(upstream("step"), [
      ["train", "capture-steps published"],
      ["train", "capture-steps backward"],
    ])
  })

  it.live.each([
    ["step", "published", [0, 5, 10], [4, 4, 4]],
    ["step", "backward", [5, 10], [4, 4]],
    // Displacements so far; K + 2 at the beginning.
    ["expanding", "published", [0, 5, 10], [4, 6, 11]],
  ] as const)("can be others: %s, %s", ([updates, placement, checkpoints, rowCounts]) =>
    Effect.gen(function* () {
      const { couplings } = yield* runSingle(configOf(updates))
      const coupling = couplings.find((one) => one.kind === "update" && one.placement === placement)
      const table = yield* getTable((coupling ?? assert.fail("no coupling")).series)
      assert.deepStrictEqual(Array.from(numbers(table, "checkpoint")), [...checkpoints])
      assert.deepStrictEqual(Array.from(numbers(table, "rowCount")), [...rowCounts])
      assert.isTrue(numbers(table, "meanR").every((ratio) => ratio > 0))
    }).pipe(Effect.provide(laboratory())),
  )

  it.live("are all that another choice of them computes again", () =>
    Effect.gen(function* () {
      const usual = yield* runSingle(tiny)
      const steps = yield* runSingle(configOf("step"))
      assert.sameMembers(
        steps.computed,
        ["published", "backward"].flatMap((placement) => [
          `capture-steps ${placement}`,
          `rolling-svd update ${placement}`,
          `measure-coupling update ${placement}`,
        ]),
      )
      const others = ({ couplings }: typeof usual) => couplings.filter(({ kind }) => kind !== "update")
      assert.deepStrictEqual(others(steps), others(usual))
    }).pipe(Effect.provide(laboratory())),
  )
})

describe("a null objective in place of the loss", () => {
  it.live("is measured as gradient, and found among what was computed", () =>
    Effect.gen(function* () {
      yield* runSingle(tiny)
      for (const objective of ["random-logits", "permuted-labels"] as const) {
        const { computed, couplings } = yield* runSingle({
          ...tiny,
          capture: { ...tiny.capture, objective },
        })
        assert.deepStrictEqual(computed, [])
        const of = (kind: string) => couplings.flatMap((one) => (one.kind === kind ? [one.peak] : []))
        assert.deepStrictEqual(of("gradient"), of(objective))
      }
    }).pipe(Effect.provide(laboratory())),
  )
})

describe("a leaf of the configuration", () => {
  it("is in the table, every one", () => {
    assert.sameMembers(
      [...Object.keys(leaves), ...APART],
      settings(tiny).map((setting) => setting.split("=")[0]),
    )
    for (const path of Object.keys(leaves)) {
      assert.notDeepEqual(withLeaf(path), tiny, path)
    }
  })

  it.effect("flips the keys of the stages that read it, and of no other", () =>
    Effect.gen(function* () {
      const asked = yield* askedBy(targets(single(tiny)))
      const outputs = new Map(asked.map(({ label, output }) => [label, output]))
      const keys = new Map(asked.map(({ label, key }) => [label, key]))
      for (const [path, { readers }] of Object.entries(leaves)) {
        // As if every stage returned what it returned before.
        const again = yield* askedBy(targets(single(withLeaf(path))), outputs)
        const flipped = again.filter(({ label, key }) => keys.get(label) !== key)
        assert.sameMembers(
          flipped.map(({ label }) => label),
          [...matching(readers)],
          path,
        )
      }
      const refused = { ...tiny, probe: { ...tiny.probe, task: 1 } }
      const error = yield* Effect.flip(askedBy(targets(single(refused))))
      assert.include(String(error), "Expected a task below 1")
    }),
  )

  const everyFifth: SingleConfig = { ...tiny, svd: { ...tiny.svd, every: 5 } }

  /** What else is changed, and what must be computed again. */
  const cases: ReadonlyArray<readonly [what: string, config: SingleConfig, again: ReadonlyArray<string>]> = [
    ["nothing", tiny, []],
    [
      "nothing but the order of fields",
      { ...tiny, svd: { every: 1, points: 3, updates: "checkpoint", rank: 2, window: 4 } },
      [],
    ],
    [
      "probe.epsilon, to its limit",
      { ...tiny, probe: { ...tiny.probe, epsilon: 0 } },
      matching(leaves["probe.epsilon"].again),
    ],
    // The same points: what comes after them sees no difference.
    ["svd.every, to no effect", everyFifth, matching(leaves["svd.every"].readers)],
    ...Object.entries(leaves)
      // Points must be captured: it divides svd.every.
      .filter(([path]) => path !== "capture.stride")
      .map(([path, { again }]) => [path, withLeaf(path), matching(again)] as const),
    [
      "capture.stride, after svd.every",
      { ...withLeaf("svd.every"), capture: withLeaf("capture.stride").capture },
      matching(leaves["capture.stride"].again),
    ],
  ]

  it.live(
    "is computed again by exactly the stages that read it, and after them as far as outputs change",
    () =>
      Effect.gen(function* () {
        const first = yield* runSingle(tiny)
        assert.sameMembers(first.computed, [...labels])
        assert.deepStrictEqual(first.cached, [])
        for (const [what, config, again] of cases) {
          const { computed, cached } = yield* runSingle(config)
          assert.sameMembers(computed, [...again], what)
          assert.sameMembers(
            cached,
            labels.filter((label) => !again.includes(label)),
            what,
          )
        }
        // All of it is kept: going back computes nothing.
        assert.deepStrictEqual((yield* runSingle(tiny)).computed, [])
      }).pipe(Effect.provide(laboratory())),
    900_000,
  )
})
