import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { closure } from "../../src/pipelines/Node.ts"
import { SingleConfig, single, targets } from "../../src/pipelines/single.ts"
import { paper, smoke } from "../../src/pipelines/sizes.ts"
import { leaves, matching, ONLY_VALUE, withLeaf } from "./leaves.ts"
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
        stop: { accuracy: 0.98, count: 20, consecutive: false },
      },
      block: "attention",
      capture: { batch: "mixed", batchSize: 512, task: null, stride: 1 },
      svd: { window: 20, rank: 3, points: 40, every: 1 },
      probe: { probes: 1024, epsilon: 0.005, centroid: "correct-logit", from: "table", task: 0, draws: 20 },
    })
  })
})

describe("single", () => {
  const nodes = closure(targets(single(paper)))

  it("trains once, captures once, and couples updates and gradients in both window directions", () => {
    assert.sameMembers(
      nodes.map(({ label }) => label),
      [
        "generate-data",
        "train",
        "capture-gradients",
        "measure-null",
        ...["rolling-svd", "measure-coupling"].flatMap((stage) =>
          ["update", "gradient"].flatMap((kind) =>
            ["forward", "backward"].map((direction) => `${stage} ${kind} ${direction}`),
          ),
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
    assert.deepStrictEqual(after["capture-gradients"], ["generate-data", "train"])
    assert.deepStrictEqual(after["measure-null"], ["generate-data", "train"])
    for (const direction of ["forward", "backward"]) {
      assert.deepStrictEqual(after[`rolling-svd update ${direction}`], ["train"])
      assert.deepStrictEqual(after[`rolling-svd gradient ${direction}`], ["capture-gradients", "train"])
      assert.deepStrictEqual(after[`measure-coupling update ${direction}`], [
        "generate-data",
        "measure-null",
        `rolling-svd update ${direction}`,
        "train",
      ])
      assert.deepStrictEqual(after[`measure-coupling gradient ${direction}`], [
        "capture-gradients",
        "generate-data",
        "measure-null",
        `rolling-svd gradient ${direction}`,
        "train",
      ])
    }
  })

  it("ends with the training and the four couplings", () => {
    assert.deepStrictEqual(
      targets(single(paper)).map(({ label }) => label),
      [
        "train",
        "measure-coupling update forward",
        "measure-coupling update backward",
        "measure-coupling gradient forward",
        "measure-coupling gradient backward",
      ],
    )
  })
})

describe("a leaf of the configuration", () => {
  it("is in the table, every one", () => {
    assert.sameMembers(
      [...Object.keys(leaves), ONLY_VALUE],
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
    ["nothing but the order of fields", { ...tiny, svd: { every: 1, points: 3, rank: 2, window: 4 } }, []],
    [
      "probe.epsilon, to its limit",
      { ...tiny, probe: { ...tiny.probe, epsilon: 0 } },
      matching(leaves["probe.epsilon"].again),
    ],
    // The same points: what comes after them sees no difference.
    ["svd.every, to no effect", everyFifth, matching(leaves["svd.every"].readers)],
    [
      "capture.stride",
      { ...everyFifth, capture: withLeaf("capture.stride").capture },
      matching(leaves["capture.stride"].again),
    ],
    ...Object.entries(leaves)
      // Points must be captured: it divides svd.every.
      .filter(([path]) => path !== "capture.stride")
      .map(([path, { again }]) => [path, withLeaf(path), matching(again)] as const),
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
    300_000,
  )
})
