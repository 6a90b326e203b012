import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Result, Schema } from "effect"
import { closure, evaluateAll, evaluator, Node, node, settle } from "../../src/pipelines/Node.ts"
import { Progress } from "../../src/services/Progress.ts"
import { stage } from "../../src/services/Stage.ts"
import { idle } from "./idle.ts"

/** Arithmetic as stages; `ran` lists what was computed. */
const arithmetic = () => {
  const ran: Array<string> = []
  const number = stage({
    name: "number",
    version: 1,
    module: "number",
    input: Schema.Struct({ value: Schema.Finite }),
    output: Schema.Finite,
    usesEngine: false,
    run: ({ value }) =>
      Effect.sync(() => {
        ran.push(`number ${value}`)
        return value
      }),
  })
  const sum = stage({
    name: "sum",
    version: 1,
    module: "sum",
    input: Schema.Struct({
      terms: Schema.Array(Schema.Finite),
      plus: Schema.Struct({ deep: Schema.Struct({ last: Schema.Finite }) }),
    }),
    output: Schema.Struct({ total: Schema.Finite }),
    usesEngine: false,
    run: ({ terms, plus }) =>
      Effect.sync(() => {
        const all = [...terms, plus.deep.last]
        ran.push(`sum ${all.join("+")}`)
        return { total: all.reduce((a, b) => a + b) }
      }),
  })
  const double = stage({
    name: "double",
    version: 1,
    module: "double",
    input: Schema.Struct({ of: sum.output }),
    output: Schema.Finite,
    usesEngine: false,
    run: ({ of: { total } }) =>
      Effect.sync(() => {
        ran.push(`double ${total}`)
        return 2 * total
      }),
  })
  return { ran, number, sum, double }
}

/** 2 · (1 + 10 + 100 + 1), in which the first number is used twice. */
const diamond = () => {
  const { ran, ...stages } = arithmetic()
  const one = node(stages.number, { value: 1 }, "one")
  const hundred = node(stages.number, { value: 100 }, "hundred")
  const total = node(stages.sum, { terms: [one, 10, hundred], plus: { deep: { last: one } } })
  const twice = node(stages.double, { of: total }, "the total")
  return { ran, one, hundred, total, twice }
}

const names = (nodes: ReadonlyArray<Node<unknown>>) => nodes.map(({ label }) => label)

describe("a node", () => {
  it("is named by its stage and what tells it from others", () => {
    const { one, total } = diamond()
    assert.deepInclude({ ...one }, { stage: "number", label: "number one" })
    assert.deepInclude({ ...total }, { stage: "sum", label: "sum" })
  })

  it("knows the nodes in its input, at any depth and as often as they occur", () => {
    const { total, twice, one } = diamond()
    assert.deepStrictEqual(names(total.upstream), ["number one", "number hundred", "number one"])
    assert.deepStrictEqual(twice.upstream, [total])
    assert.deepStrictEqual(one.upstream, [])
  })
})

describe("closure", () => {
  it("lists upstream first, each node once, then the target", () => {
    const { twice } = diamond()
    assert.deepStrictEqual(names(closure([twice])), [
      "number one",
      "number hundred",
      "sum",
      "double the total",
    ])
  })

  it("of several targets keeps their order and shares what they share", () => {
    const { one, hundred, total, twice } = diamond()
    assert.deepStrictEqual(closure([hundred, twice, total]), [hundred, one, total, twice])
    assert.deepStrictEqual(closure([]), [])
    assert.deepStrictEqual(closure([one, one]), [one])
  })

  it("never lists a node before what it depends on", () => {
    const order = closure([diamond().twice])
    for (const [place, { upstream }] of order.entries()) {
      for (const each of upstream) assert.isBelow(order.indexOf(each), place)
    }
  })
})

describe("evaluator", () => {
  it.effect("resolves nodes anywhere in an input and runs each node once", () =>
    Effect.gen(function* () {
      const { twice, ran } = diamond()
      assert.strictEqual(yield* evaluator()(twice), 224)
      assert.deepStrictEqual(ran, ["number 1", "number 100", "sum 1+10+100+1", "double 112"])
    }).pipe(Effect.provide(idle())),
  )

  it.effect("remembers outputs between targets, and looks them up in the store in the next run", () =>
    Effect.gen(function* () {
      const { one, total, twice, ran } = diamond()
      const resolve = evaluator()
      assert.strictEqual(yield* resolve(one), 1)
      assert.deepStrictEqual(yield* resolve(total), { total: 112 })
      assert.strictEqual(yield* resolve(twice), 224)
      assert.lengthOf(ran, 4)
      assert.strictEqual(yield* evaluator()(twice), 224)
      assert.lengthOf(ran, 4)
    }).pipe(Effect.provide(idle())),
  )

  it.effect("runs only what a target depends on", () =>
    Effect.gen(function* () {
      const { one, ran } = diamond()
      yield* evaluator()(one)
      assert.deepStrictEqual(ran, ["number 1"])
    }).pipe(Effect.provide(idle())),
  )

  it.effect("runs two nodes of one stage and input once: the store knows them by key", () =>
    Effect.gen(function* () {
      const { ran, number } = arithmetic()
      const resolve = evaluator()
      for (const name of ["this", "that"])
        assert.strictEqual(yield* resolve(node(number, { value: 5 }, name)), 5)
      assert.deepStrictEqual(ran, ["number 5"])
    }).pipe(Effect.provide(idle())),
  )

  it.effect("fails with the failure of the node that failed, and runs nothing that depends on it", () =>
    Effect.gen(function* () {
      const { ran, ...stages } = arithmetic()
      const broken = stage({
        ...stages.number,
        name: "broken",
        run: () => Effect.fail(new Error("no number")),
      })
      const total = node(stages.sum, {
        terms: [node(stages.number, { value: 1 }), node(broken, { value: 2 })],
        plus: { deep: { last: node(stages.number, { value: 3 }) } },
      })
      const error = yield* Effect.flip(evaluator()(node(stages.double, { of: total })))
      assert.strictEqual(error.message, "no number")
      // Whether the number beside it is still computed is a matter of moments.
      assert.deepStrictEqual(
        ran.filter((name) => name !== "number 3"),
        ["number 1"],
      )
    }).pipe(Effect.provide(idle())),
  )

  it.effect("runs a node once for all who ask at the same time", () =>
    Effect.gen(function* () {
      let runs = 0
      const slow = new Node<number>("slow", "slow", [], () =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => ++runs),
        ),
      )
      const resolve = evaluator()
      const outputs = yield* Effect.all([resolve(slow), resolve(slow)], { concurrency: "unbounded" })
      assert.deepStrictEqual(outputs, [1, 1])
    }).pipe(Effect.provide(idle())),
  )

  it.effect("fails everybody who waits for a node that fails", () =>
    Effect.gen(function* () {
      let runs = 0
      const broken = new Node<number>("broken", "broken", [], () =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.suspend(() => Effect.fail(new Error(`failure ${++runs}`))),
        ),
      )
      const resolve = evaluator()
      const errors = yield* Effect.all([Effect.flip(resolve(broken)), Effect.flip(resolve(broken))], {
        concurrency: "unbounded",
      })
      assert.deepStrictEqual(
        errors.map(({ message }) => message),
        ["failure 1", "failure 1"],
      )
    }).pipe(Effect.provide(idle())),
  )

  it.effect("lets another go on with a node whose first asker is interrupted", () =>
    Effect.gen(function* () {
      let runs = 0
      const gate = yield* Latch.make()
      const slow = new Node<number>("slow", "slow", [], () =>
        Effect.suspend(() => {
          runs++
          return Effect.as(gate.await, runs)
        }),
      )
      const resolve = evaluator()
      const first = yield* Effect.forkChild(resolve(slow), { startImmediately: true })
      const second = yield* Effect.forkChild(resolve(slow), { startImmediately: true })
      assert.strictEqual(runs, 1)
      yield* Fiber.interrupt(first)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(second), 2)
    }).pipe(Effect.provide(idle())),
  )

  it.effect("checks resolved inputs before it runs a stage on them", () =>
    Effect.gen(function* () {
      const { ran, number } = arithmetic()
      const lying = new Node<number>("lying", "lying", [], () => Effect.succeed(Number.NaN))
      const error = yield* Effect.flip(evaluator()(node(number, { value: lying })))
      assert.instanceOf(error, Schema.SchemaError)
      assert.include(error.message, "value")
      assert.deepStrictEqual(ran, [])
    }).pipe(Effect.provide(idle())),
  )
})

describe("evaluateAll", () => {
  /** A node that notes when it starts and ends, and ends after `turns`. */
  const timed = (log: Array<string>, name: string, turns: number, after: ReadonlyArray<Node<unknown>> = []) =>
    new Node<string>(name, name, after, (resolve) =>
      Effect.gen(function* () {
        yield* Effect.forEach(after, resolve, { concurrency: "unbounded" })
        log.push(`${name} starts`)
        for (let i = 0; i < turns; i++) yield* Effect.yieldNow
        log.push(`${name} ends`)
        return name
      }),
    )

  it.effect("runs independent nodes side by side, the first ones first, and dependent ones after", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const a = timed(log, "a", 20)
      const b = timed(log, "b", 10)
      const c = timed(log, "c", 1, [a, b])
      yield* evaluateAll([c, timed(log, "d", 5)])
      assert.deepStrictEqual(log.slice(0, 3), ["a starts", "b starts", "d starts"])
      assert.isAbove(log.indexOf("c starts"), log.indexOf("a ends"))
      assert.isBelow(log.indexOf("d ends"), log.indexOf("a ends"))
    }).pipe(Effect.provide(idle())),
  )

  it.effect("plans every node once, and has the outputs at hand", () => {
    const plans: Array<ReadonlyArray<string>> = []
    return Effect.gen(function* () {
      const { twice, total, ran } = diamond()
      const progress = yield* Progress
      const resolve = yield* evaluateAll([total, twice]).pipe(
        Effect.provideService(Progress, {
          ...progress,
          plan: (labels) => Effect.sync(() => plans.push(labels)),
          say: () => Effect.void,
        }),
      )
      assert.deepStrictEqual(plans, [["number one", "number hundred", "sum", "double the total"]])
      assert.lengthOf(ran, 4)
      assert.deepStrictEqual(yield* resolve(total), { total: 112 })
      assert.strictEqual(yield* resolve(twice), 224)
      assert.lengthOf(ran, 4)
    }).pipe(Effect.provide(idle()))
  })

  it.effect("goes on after a failure with what does not depend on it, then fails with that", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const broken = new Node<string>("broken", "broken", [], () => Effect.fail(new Error("no result")))
      const other = timed(log, "other", 5)
      const targets = [timed(log, "after both", 1, [broken, other]), timed(log, "apart", 10)]
      const error = yield* Effect.flip(evaluateAll(targets))
      assert.strictEqual(error.message, "no result")
      assert.deepStrictEqual(log, ["other starts", "apart starts", "other ends", "apart ends"])
    }).pipe(Effect.provide(idle())),
  )

  it.effect("stops everything after a failure when it shall fail fast, although others wait for it", () =>
    Effect.gen(function* () {
      const shared = new Node<number>("shared", "shared", [], () => Effect.never)
      const broken = new Node<number>("broken", "broken", [], () =>
        Effect.andThen(Effect.yieldNow, Effect.fail(new Error("broken"))),
      )
      const uses = (name: string, upstream: ReadonlyArray<Node<unknown>>) =>
        new Node<unknown>(name, name, upstream, (resolve) =>
          Effect.forEach(upstream, resolve, { concurrency: "unbounded" }),
        )
      const both = uses("both", [shared, broken])
      const error = yield* Effect.flip(evaluateAll([both, uses("one", [shared])], { failFast: true }))
      assert.strictEqual(error.message, "broken")
    }).pipe(Effect.provide(idle())),
  )

  it.live(
    "are all computed where they were settled, once, though who asks for several ends with one that fails",
    () =>
      Effect.gen(function* () {
        const began: Array<string> = []
        const ended: Array<string> = []
        const slow = new Node<number>("slow", "stage", [], () =>
          Effect.gen(function* () {
            began.push("slow")
            yield* Effect.sleep(50)
            return ended.push("slow")
          }),
        )
        const bad = new Node<number>("bad", "stage", [], () => Effect.fail(new Error("bad")))
        const resolve = evaluator()
        const both = Effect.forEach([slow, bad], resolve, { concurrency: "unbounded" })
        const [, outcome] = yield* Effect.all([settle([slow, bad], resolve), Effect.result(both)], {
          concurrency: "unbounded",
        })
        assert.isTrue(Result.isFailure(outcome))
        assert.deepStrictEqual({ began, ended }, { began: ["slow"], ended: ["slow"] })
      }).pipe(Effect.provide(idle())),
  )
})
