import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { map } from "../../src/pipelines/derive.ts"
import { closure, evaluateAll, type Node, node } from "../../src/pipelines/Node.ts"
import { type Surveyed, survey } from "../../src/pipelines/survey.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { Progress } from "../../src/services/Progress.ts"
import { stage } from "../../src/services/Stage.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { filesBelow } from "../services/store/temporary.ts"
import { idle } from "./idle.ts"

const number = stage({
  name: "number",
  version: 1,
  module: "number",
  input: Schema.Struct({ value: Schema.Finite }),
  output: Schema.Finite,
  usesEngine: false,
  run: ({ value }) => Effect.succeed(Math.abs(value)),
})
const sum = stage({
  name: "sum",
  version: 1,
  module: "sum",
  input: Schema.Struct({ terms: Schema.Array(Schema.Finite), scale: Schema.Finite }),
  output: Schema.Finite,
  usesEngine: false,
  run: ({ terms, scale }) => Effect.succeed(scale * terms.reduce((a, b) => a + b)),
})

/** scale · (|a| + |b| + 2 |a|), whose last term is derived. */
const pipeline = (a: number, b: number, scale = 1) => {
  const first = node(number, { value: a }, "a")
  const terms = [first, node(number, { value: b }, "b"), map(first, (value) => 2 * value)]
  return closure([node(sum, { terms, scale }, "all"), node(sum, { terms, scale }, "again")])
}

const surveyOf = (nodes: ReadonlyArray<Node<unknown>>) =>
  survey(nodes, [number, sum]).pipe(Effect.provide(Layer.fresh(StageRunner.peeking)))

const states = (surveyed: ReadonlyArray<Surveyed>) =>
  surveyed.map(({ node, state }) => `${node.label} ${state._tag}`)
const find = (surveyed: ReadonlyArray<Surveyed>, label: string) =>
  surveyed.find(({ node }) => node.label === label)

describe("a survey", () => {
  it.effect("tells what is found, what is missing, and what awaits others, and writes nothing", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      assert.deepStrictEqual(states(yield* surveyOf(pipeline(1, 2))), [
        "number a Missing",
        "number b Missing",
        "sum all Awaiting",
        "sum again Awaiting",
      ])
      yield* evaluateAll(pipeline(1, 2))
      const files = filesBelow(root)
      const after = yield* surveyOf(pipeline(1, 2))
      assert.deepStrictEqual(new Set(after.map(({ state }) => state._tag)), new Set(["Found"]))
      assert.deepStrictEqual(states(yield* surveyOf(pipeline(1, 2, 7))).slice(2), [
        "sum all Missing",
        "sum again Missing",
      ])
      assert.deepStrictEqual(filesBelow(root), files)
    }).pipe(Effect.provide(idle())),
  )

  it.effect("knows of what awaits others all but what comes from there", () =>
    Effect.gen(function* () {
      yield* evaluateAll(pipeline(1, 2))
      const all = find(yield* surveyOf(pipeline(1, -2, 7)), "sum all")
      assert.deepStrictEqual(
        all?.parts.map(({ path, awaited }) => `${path} ${awaited}`),
        ["input.terms.0 false", "input.terms.1 true", "input.terms.2 false"],
      )
      if (all?.state._tag !== "Awaiting") return assert.fail("it does not await anything")
      const { nodes, preimage } = all.state
      assert.deepStrictEqual(
        nodes.map(({ label }) => label),
        ["number b"],
      )
      assert.deepStrictEqual(Object(preimage).input, { terms: [1, undefined, 2], scale: 7 })
      assert.deepStrictEqual([Object(preimage).stage, Object(preimage).code], ["sum", "sum"])
    }).pipe(Effect.provide(idle())),
  )

  it.effect("takes nodes of the same stage and input for one computation, whether it has a key or not", () =>
    Effect.gen(function* () {
      const identities = (surveyed: ReadonlyArray<Surveyed>) =>
        new Set(surveyed.map(({ identity }) => identity)).size
      assert.strictEqual(identities(yield* surveyOf(pipeline(1, 1))), 2)
      assert.strictEqual(identities(yield* surveyOf(pipeline(1, 2))), 3)
      yield* evaluateAll(pipeline(1, 2))
      assert.strictEqual(identities(yield* surveyOf(pipeline(1, 2))), 3)
    }).pipe(Effect.provide(idle())),
  )
})

describe("an evaluation", () => {
  it.effect("gives progress what its nodes are expected to take", () =>
    Effect.gen(function* () {
      const progress = yield* Progress
      const expected = new Map([["number a", 3]])
      const given: Array<ReadonlyMap<string, number>> = []
      yield* evaluateAll(pipeline(1, 2), { expect: () => Effect.succeed(expected) }).pipe(
        Effect.provideService(Progress, {
          ...progress,
          plan: (_, expect = Effect.succeed(new Map())) =>
            Effect.map(expect, (seconds) => {
              given.push(seconds)
            }),
        }),
      )
      assert.deepStrictEqual(given, [expected])
    }).pipe(Effect.provide(idle())),
  )
})
