import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Explanation } from "../../src/commands/explained.ts"
import { Plan } from "../../src/commands/planned.ts"
import { matching } from "../pipelines/leaves.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { cli } from "./process.ts"

const TIMEOUT = 180_000

const scale = ["--scale", "smoke"]
const fields = settings(tiny).flatMap((setting) => ["--set", setting])
const asked = [...scale, ...fields]

/** A store with one run. */
class Store extends Context.Service<
  Store,
  { readonly directory: string; readonly before: typeof Plan.Type }
>()("test/Store") {
  static readonly layer = Layer.effect(
    Store,
    Effect.gen(function* () {
      const directory = join(yield* temporaryDirectory, "store")
      const store = ["--store", directory]
      const planned = yield* cli(["plan", "single", ...asked, ...store, "--json"])
      assert.deepStrictEqual({ code: planned.code, stderr: planned.stderr }, { code: 0, stderr: "" })
      assert.throws(() => filesBelow(directory), "ENOENT")
      const { code, stderr } = yield* cli(["run", "single", ...asked, "--threads", "1", ...store])
      assert.strictEqual(code, 0, stderr)
      return { directory, before: yield* decodePlan(planned.stdout) }
    }),
  )
}

const decodePlan = Schema.decodeUnknownEffect(Schema.fromJsonString(Plan))
const decodeExplanation = Schema.decodeUnknownEffect(Schema.fromJsonString(Explanation))

/** What a command says, which must succeed and leave the store as it is. */
const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const { directory } = yield* Store
  const files = filesBelow(directory)
  const { code, stdout, stderr } = yield* cli([...args, "--store", directory])
  assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
  assert.deepStrictEqual(filesBelow(directory), files)
  return stdout
})

const planned = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(said("plan", "single", ...asked, "--json", ...args), decodePlan)
const explained = (stage: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(said("explain", stage, ...asked, "--json", ...args), decodeExplanation)

const faster = ["--set", "train.learningRate=3e-4"]

layer(Store.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  excludeTestServices: true,
  timeout: TIMEOUT,
})("plan and explain", (it) => {
  it.effect("a plan of an empty store counts everything, and invents no time", () =>
    Effect.gen(function* () {
      const { before } = yield* Store
      const { cached, toRun, atMost, groups, withoutHistory, bytes } = before
      assert.deepStrictEqual(
        { cached, toRun, atMost, bytes },
        { cached: 0, toRun: labels.length, atMost: true, bytes: 0 },
      )
      assert.deepStrictEqual(groups, {
        trainings: 1,
        interventions: 0,
        dataSets: 1,
        analyses: labels.length - 2,
      })
      assert.lengthOf(withoutHistory, 6)
    }),
  )

  it.effect("a plan after a run counts everything as cached", () =>
    Effect.gen(function* () {
      const { cached, toRun, atMost, groups, withoutHistory } = yield* planned()
      assert.deepStrictEqual({ cached, toRun, atMost }, { cached: labels.length, toRun: 0, atMost: false })
      assert.deepStrictEqual(groups, { trainings: 0, interventions: 0, dataSets: 0, analyses: 0 })
      assert.deepStrictEqual(withoutHistory, [])
      assert.include(yield* said("plan", "single", ...asked), "0 trainings, 0 analyses: everything is stored")
    }),
  )

  it.effect("a plan counts what a changed field makes new, with time and room", () =>
    Effect.gen(function* () {
      const plan = yield* planned(...faster)
      assert.deepStrictEqual([plan.cached, plan.toRun, plan.atMost], [1, labels.length - 1, true])
      assert.isAbove(plan.bytes, 10_000)
      assert.isAtLeast(plan.seconds.high, plan.seconds.likely)
      assert.isAtMost(plan.seconds.low, plan.seconds.likely)
      assert.strictEqual((yield* planned(...faster, "--workers", "8")).workers, 8)
      const text = yield* said("plan", "single", ...asked, ...faster)
      assert.include(text, `at most 1 training, ${labels.length - 2} analyses, about`)
      const measured = yield* planned("--set", "probe.probes=4")
      assert.deepStrictEqual(
        [measured.groups.trainings, measured.groups.analyses],
        [
          0,
          // The random directions, and every coupling.
          matching(/^measure-/).length,
        ],
      )
    }),
  )

  it.effect("a plan takes a longer training to cost what is left of it", () =>
    Effect.gen(function* () {
      const secondsOf = ({ stages }: typeof Plan.Type) =>
        stages.find(({ stage }) => stage === "train")?.seconds?.likely ?? Number.NaN
      const anew = secondsOf(yield* planned("--set", "seed=1", "--set", "train.maxSteps=100"))
      const longer = secondsOf(yield* planned("--set", "train.maxSteps=100"))
      assert.approximately(longer / anew, 0.5, 1e-9)
    }),
  )

  it.effect("a plan refuses what is no pipeline, or no field", () =>
    Effect.gen(function* () {
      const pipeline = yield* cli(["plan", "singel"])
      assert.deepStrictEqual([pipeline.code, pipeline.stdout], [2, ""])
      assert.include(pipeline.stderr, "did you mean single?")
      const field = yield* cli(["plan", "single", "--set", "train.learnignRate=1"])
      assert.strictEqual(field.code, 2)
      assert.include(field.stderr, "did you mean train.learningRate?")
    }),
  )

  it.effect("explain names the one field that changed, and what is nearest", () =>
    Effect.gen(function* () {
      const { stages } = yield* explained("train", ...faster)
      const [found] = (yield* explained("train")).stages
      assert.lengthOf(stages, 1)
      const [{ label, state, changes, nearest, awaits, seconds }] = stages
      assert.deepStrictEqual(
        { label, state, awaits, changes },
        {
          label: "train",
          state: "missing",
          awaits: [],
          changes: [{ path: "train.learningRate", before: tiny.train.learningRate, after: 3e-4 }],
        },
      )
      assert.deepStrictEqual([found.state, found.changes, found.seconds], ["found", [], null])
      assert.deepStrictEqual(nearest, found.nearest)
      assert.isAbove(seconds ?? 0, 0)
      const text = yield* said("explain", "train", ...asked, ...faster)
      assert.match(
        text,
        /^train: to compute, about [\d.]+ s\n {2}nearest: train [0-9a-f]{12}, computed 2\S+\n {2}train\.learningRate: 0\.005 → 0\.0003\n$/,
      )
      assert.match(
        yield* said("explain", "train", ...asked),
        /^train: cached\n {2}key [0-9a-f]{12}, computed 2/,
      )
    }),
  )

  it.effect("explain says what is awaited, and what else differs", () =>
    Effect.gen(function* () {
      const [{ state, key, awaits, changes }] = (yield* explained(
        "capture-gradients",
        ...faster,
        "--set",
        "capture.stride=2",
      )).stages
      assert.deepStrictEqual(
        { state, key, awaits, changes },
        {
          state: "awaiting",
          key: null,
          awaits: ["train"],
          changes: [{ path: "capture.stride", before: 1, after: 2 }],
        },
      )
    }),
  )

  it.effect(
    "says so where nothing of a stage was ever computed, and suggests a name for one that is not there",
    () =>
      Effect.gen(function* () {
        const text = yield* said("explain", "intervene", "--pipeline", "reproduce-all", ...scale)
        assert.include(text, "never computed in")
        const { directory } = yield* Store
        const unknown = yield* cli(["explain", "tain", ...asked, "--store", directory])
        assert.deepStrictEqual([unknown.code, unknown.stdout], [2, ""])
        assert.include(unknown.stderr, "did you mean train?")
      }),
  )
})
