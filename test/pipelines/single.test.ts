import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { closure } from "../../src/pipelines/Node.ts"
import { paper, SingleConfig, single, smoke, targets } from "../../src/pipelines/single.ts"
import { labels, laboratory, runSingle, tiny } from "./tiny.ts"

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

describe("a change of one field", () => {
  const matching = (...patterns: ReadonlyArray<RegExp>) =>
    labels.filter((label) => patterns.some((pattern) => pattern.test(label)))

  /** What changes, and what must be computed again. */
  const cases: ReadonlyArray<
    readonly [what: string, change: Partial<SingleConfig>, again: ReadonlyArray<string>]
  > = [
    ["nothing", {}, []],
    ["nothing but the order of fields", { svd: { every: 1, points: 3, rank: 2, window: 4 } }, []],
    ["seed", { seed: 43 }, labels],
    ["data.operation", { data: { ...tiny.data, operation: "sub" } }, labels],
    ["data.labels", { data: { ...tiny.data, labels: "shuffled" } }, labels],
    ["train.optimizer", { train: { ...tiny.train, optimizer: "sgd" } }, matching(/^(?!generate)/)],
    [
      "train.schedule",
      { train: { ...tiny.train, schedule: { kind: "warmup-cosine", warmup: 10, period: 50 } } },
      matching(/^(?!generate)/),
    ],
    ["model.feedForward", { model: { ...tiny.model, feedForward: 16 } }, matching(/^(?!generate)/)],
    ["train.weightDecay", { train: { ...tiny.train, weightDecay: 0.5 } }, matching(/^(?!generate)/)],
    ["train.maxSteps", { train: { ...tiny.train, maxSteps: 40 } }, matching(/^(?!generate)/)],
    [
      // The rule never holds here: the trajectory is the same, and so is everything after it.
      "train.stop.count",
      { train: { ...tiny.train, stop: { ...tiny.train.stop, count: 21 } } },
      ["train"],
    ],
    ["capture.batch", { capture: { ...tiny.capture, batch: "train" } }, matching(/capture/, /gradient/)],
    ["capture.batchSize", { capture: { ...tiny.capture, batchSize: 9 } }, matching(/capture/, /gradient/)],
    ["capture.task", { capture: { ...tiny.capture, task: 0 } }, matching(/capture/, /gradient/)],
    ["svd.every", { svd: { ...tiny.svd, every: 2 } }, matching(/svd/, /null/, /coupling/)],
    ["svd.window", { svd: { ...tiny.svd, window: 3 } }, matching(/svd/, /coupling/)],
    ["svd.rank", { svd: { ...tiny.svd, rank: 3 } }, matching(/svd/, /coupling/)],
    ["svd.points", { svd: { ...tiny.svd, points: 2 } }, matching(/svd/, /null/, /coupling/)],
    ["probe.probes", { probe: { ...tiny.probe, probes: 9 } }, matching(/null/, /coupling/)],
    ["probe.epsilon", { probe: { ...tiny.probe, epsilon: 0.004 } }, matching(/null/, /coupling/)],
    ["probe.epsilon, to its limit", { probe: { ...tiny.probe, epsilon: 0 } }, matching(/null/, /coupling/)],
    ["probe.centroid", { probe: { ...tiny.probe, centroid: "logit-sum" } }, matching(/null/, /coupling/)],
    ["probe.draws", { probe: { ...tiny.probe, draws: 4 } }, matching(/null/, /coupling/)],
  ]

  it.live(
    "computes again exactly the stages that read it",
    () =>
      Effect.gen(function* () {
        const first = yield* runSingle(tiny)
        assert.sameMembers(first.computed, [...labels])
        assert.deepStrictEqual(first.cached, [])
        for (const [what, change, again] of cases) {
          const { computed, cached } = yield* runSingle({ ...tiny, ...change })
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
    180_000,
  )
})
