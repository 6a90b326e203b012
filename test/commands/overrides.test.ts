import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { BadInput, suggest } from "../../src/commands/BadInput.ts"
import { override } from "../../src/commands/overrides.ts"
import { SingleConfig } from "../../src/pipelines/single.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import { settings, tiny } from "../pipelines/tiny.ts"

const overriding = (...fields: ReadonlyArray<string>) => override(SingleConfig, paper, fields)

describe("override", () => {
  it.effect("without settings changes nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* overriding(), paper)
    }),
  )

  it.effect("changes the named fields and no other", () =>
    Effect.gen(function* () {
      const changed = yield* overriding(
        "seed=137",
        "train.learningRate=3e-4",
        "train.stop.consecutive=true",
        "data.operation=mul",
      )
      assert.deepStrictEqual(changed, {
        ...paper,
        seed: 137,
        data: { ...paper.data, operation: "mul" },
        train: { ...paper.train, learningRate: 3e-4, stop: { ...paper.train.stop, consecutive: true } },
      })
    }),
  )

  it.effect("reaches every field", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* overriding(...settings(tiny)), tiny)
    }),
  )

  it.effect("chooses another optimiser, and another schedule with fields of its own", () =>
    Effect.gen(function* () {
      const { train } = yield* overriding(
        "train.optimizer=sgd",
        "train.schedule.kind=warmup-cosine",
        "train.schedule.warmup=100",
        "train.schedule.period=8000",
      )
      const schedule = { kind: "warmup-cosine", warmup: 100, period: 8000 } as const
      assert.deepStrictEqual(train, { ...paper.train, optimizer: "sgd", schedule })
      const error = yield* Effect.flip(
        overriding(
          "train.schedule.kind=warmup-cosine",
          "train.schedule.warmup=-1",
          "train.schedule.period=9",
        ),
      )
      assert.match(error.message, /^--set train\.schedule\.warmup: .*-1/)
    }),
  )

  it.effect("leaves text as it is, also where it looks like something else", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* overriding("data.labels=shuffled", "data.labels=true")).data.labels, "true")
    }),
  )

  it.effect("takes the last of two settings of one field", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* overriding("seed=1", "seed=2")).seed, 2)
    }),
  )

  it.effect("checks fields together, after all are set", () =>
    Effect.gen(function* () {
      const { model } = yield* overriding("model.heads=3", "model.width=96")
      assert.deepInclude(model, { heads: 3, width: 96 })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(overriding("model.heads=3"))))
    }),
  )

  it.effect.each<readonly [setting: string, says: ReadonlyArray<string>]>([
    ["train.learnignRate=1", ["train.learnignRate", "did you mean train.learningRate?"]],
    ["Seed=1", ["Seed", "did you mean seed?"]],
    ["window=10", ["unknown field window", "svd.window"]],
    ["train.stop=3", ["unknown field train.stop"]],
    ["train.stop.count.x=3", ["unknown field train.stop.count.x"]],
    ["__proto__=3", ["unknown field __proto__"]],
    ["constructor=3", ["unknown field constructor"]],
    ["=3", ["--set =3"]],
    ["seed", ["--set seed", "field=value"]],
    ["seed=", ["seed", '""']],
    ["seed=1=2", ["seed", '"1=2"']],
    ["seed=null", ["seed", "null"]],
    ["seed=[1]", ["seed", "[1]"]],
    ["seed=-1", ["seed", "-1", "between 0 and 4294967295"]],
    ["seed=4294967296", ["seed", "4294967296"]],
    ["seed=1e400", ["seed"]],
    ["data.modulus=998", ["data.modulus", "998", "997"]],
    ["data.modulus=2", ["data.modulus", "2", "3"]],
    ["data.operation=7", ["data.operation", "7", '"add"']],
    ["data.operation=div", ["data.operation", '"div"', '"add"']],
    ["data.trainFraction=1", ["data.trainFraction", "0.99"]],
    ["model.heads=3", ["model.heads", "divisor", "128", "3"]],
    ["model.layers=0", ["model.layers", "0"]],
    ["data.labels=random", ["data.labels", '"random"', '"shuffled"']],
    ["train.optimizer=adam", ["train.optimizer", '"adam"', '"adamw"', '"sgd"']],
    ["train.schedule=constant", ["unknown field train.schedule", "train.schedule.kind"]],
    ["train.schedule.kind=linear", ["train.schedule", '"linear"', '"constant"', '"warmup-cosine"']],
    ["train.schedule.warmpu=9", ["train.schedule.warmpu", "did you mean train.schedule.warmup?"]],
    ["train.schedule.warmup=9", ["train.schedule.warmup", "9"]],
    ["train.schedule.kind=warmup-cosine", ["train.schedule.warmup", "is missing"]],
    ["train.learningRate=fast", ["train.learningRate", '"fast"']],
    ["train.learningRate=0", ["train.learningRate", "0"]],
    ["train.beta2=1", ["train.beta2", "1"]],
    ["train.maxSteps=51", ["train.maxSteps", "multiple", "25", "51"]],
    ["train.stop.consecutive=yes", ["train.stop.consecutive", '"yes"']],
    ["capture.batch=all", ["capture.batch", '"all"', '"mixed"']],
    ["svd.window=2.5", ["svd.window", "2.5"]],
    ["svd.rank=21", ["svd.rank", "20", "21"]],
    ["probe.epsilon=1", ["probe.epsilon", "1"]],
  ])("refuses %s in one line that names the field and what it may be", ([setting, says]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(overriding(setting))
      assert.instanceOf(error, BadInput)
      assert.match(error.message, /^--set .+$/)
      for (const part of says) assert.include(error.message, part)
    }),
  )

  it.effect("refuses a modulus that is not prime, for mul only", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* overriding("data.modulus=15")).data.modulus, 15)
      const { message } = yield* Effect.flip(overriding("data.modulus=15", "data.operation=mul"))
      assert.match(message, /^--set data\.modulus: .*prime.*15/)
    }),
  )
})

describe("suggest", () => {
  it.each([
    ["singel", "; did you mean single?"],
    ["reproduce", "; did you mean reproduce-all?"],
    ["x", "; valid are single, reproduce-all"],
  ])("for %s says%s", (given, expected) => {
    assert.strictEqual(suggest(given, ["single", "reproduce-all"]), expected)
  })

  it("says nothing where nothing is valid", () => {
    assert.strictEqual(suggest("x", []), "")
  })
})
