import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  decide,
  decideUnder,
  type Part,
  type Parts,
  type Reason,
  type Root,
  sizeOf,
  undroppable,
} from "../../../src/services/gc/decide.ts"

const partsOf = (...parts: ReadonlyArray<Partial<Part> & Pick<Part, "name">>): Parts =>
  new Map(
    parts.map((part) => [
      part.name,
      { kind: "artifact", bytes: 1, leadsTo: [], madeFrom: [], seconds: 0, ...part },
    ]),
  )

const asked = (name: string): Root => ({ name, reason: { _tag: "Run", command: "run" } })
const pinned = (name: string): Root => ({ name, reason: { _tag: "Pin", key: name } })

const result = (name: string, bytes: number, seconds: number, ...leadsTo: ReadonlyArray<string>) =>
  ({ name, kind: "record", bytes, seconds, leadsTo }) as const

describe("what is kept", () => {
  it("is what roots lead to, however far, and what they were made from", () => {
    const parts = partsOf(
      { name: "root", kind: "record", leadsTo: ["list", "cursor"], madeFrom: ["data"] },
      { name: "cursor", kind: "cursor", leadsTo: ["state", "gone"] },
      { name: "list", leadsTo: ["item", "list"] },
      ...["item", "state", "data", "stray"].map((name) => ({ name })),
      { name: "other", kind: "record", leadsTo: ["item", "alone"] },
      { name: "alone" },
    )
    const { kept, dropped } = decide(parts, [asked("root"), asked("not there")])
    assert.deepStrictEqual([...kept].sort(), ["cursor", "data", "item", "list", "root", "state"])
    assert.deepStrictEqual(dropped, [])
  })

  it("is nothing without roots", () => {
    assert.strictEqual(decide(partsOf({ name: "a" }), []).kept.size, 0)
  })
})

describe("a limit of room", () => {
  const parts = partsOf(
    result("training", 10, 1000, "weights"),
    { name: "weights", bytes: 90 },
    result("rows", 10, 30, "matrix"),
    { name: "matrix", bytes: 490 },
    { ...result("coupling", 10, 60), madeFrom: ["matrix"] },
  )
  const roots = ["training", "rows", "coupling"].map(asked)

  it.each<[number, ReadonlyArray<string>]>([
    [610, []],
    [609, ["rows"]],
    [110, ["rows"]],
    [109, ["rows", "coupling"]],
    [99, ["rows", "coupling", "training"]],
    [0, ["rows", "coupling", "training"]],
  ])("of %d bytes drops what is cheapest for the room that it takes", (limit, dropped) => {
    assert.deepStrictEqual(decideUnder(parts, roots, limit).dropped, dropped)
  })

  it("counts with a result what it alone holds: of two that share something, dropping one frees little", () => {
    const shared = partsOf(
      result("short", 1, 10, "states"),
      result("long", 1, 20, "states"),
      { name: "states", bytes: 100 },
      result("other", 50, 60),
    )
    const { dropped, kept } = decideUnder(shared, ["short", "long", "other"].map(asked), 110)
    assert.deepStrictEqual(dropped, ["other"])
    assert.strictEqual(sizeOf(shared, kept), 102)
    assert.deepStrictEqual(decideUnder(shared, ["short", "long", "other"].map(asked), 60).dropped, [
      "other",
      "short",
      "long",
    ])
  })

  it("takes nothing that is pinned, nor what that was made from", () => {
    const { kept, dropped } = decideUnder(parts, [...roots, pinned("coupling")], 0)
    assert.sameMembers([...kept], ["coupling", "matrix"])
    assert.sameMembers([...dropped], ["rows", "training"])
  })

  it("takes nothing that a process uses, and no work that is not done", () => {
    const reasons: ReadonlyArray<Reason> = [{ _tag: "Process" }, { _tag: "Run", command: "run" }]
    const working = partsOf(result("used", 10, 0), { name: "begun", kind: "cursor", bytes: 10 })
    const { kept, dropped } = decideUnder(
      working,
      ["used", "begun"].map((name, i) => ({ name, reason: reasons[i] })),
      0,
    )
    assert.sameMembers([...kept], ["used", "begun"])
    assert.deepStrictEqual(dropped, [])
  })
})

const NAMES = Array.from({ length: 8 }, (_, i) => i)
const artifactName = fc.constantFrom(...NAMES.map((i) => `artifact ${i}`), "gone")
const size = fc.nat(20)
const few = { maxLength: 3 }

/** Stores in which records lead to a cursor and artifacts, and both to artifacts; anything but artifacts may be missing. */
const store = fc
  .record({
    artifacts: fc.tuple(...NAMES.map(() => fc.record({ bytes: size, leadsTo: fc.array(artifactName, few) }))),
    cursors: fc.tuple(
      ...NAMES.slice(0, 4).map(() => fc.record({ bytes: size, leadsTo: fc.array(artifactName, few) })),
    ),
    records: fc.tuple(
      ...NAMES.map(() =>
        fc.record({
          bytes: size,
          seconds: size,
          leadsTo: fc.array(artifactName, few),
          cursor: fc.nat(5),
          madeFrom: fc.array(artifactName, few),
        }),
      ),
    ),
  })
  .map(({ artifacts, cursors, records }) =>
    partsOf(
      ...artifacts.map((part, i) => ({ name: `artifact ${i}`, ...part })),
      ...cursors.map((part, i) => ({ name: `cursor ${i}`, kind: "cursor" as const, ...part })),
      ...records.map(({ cursor, leadsTo, ...part }, i) => ({
        name: `record ${i}`,
        kind: "record" as const,
        leadsTo: [...leadsTo, `cursor ${cursor}`],
        ...part,
      })),
    ),
  )

const reason: fc.Arbitrary<Reason> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b").map((command): Reason => ({ _tag: "Run", command })) },
  { weight: 1, arbitrary: fc.constant<Reason>({ _tag: "Pin", key: "key" }) },
  { weight: 1, arbitrary: fc.constant<Reason>({ _tag: "Process" }) },
)
const root: fc.Arbitrary<Root> = fc.record({
  name: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...NAMES.map((i) => `record ${i}`), "record 99") },
    { weight: 1, arbitrary: fc.constantFrom("cursor 0", "cursor 1", "artifact 0") },
  ),
  reason,
})
const roots = fc.array(root, { maxLength: 10 })
const limit = fc.nat(250)

const only = (parts: Parts, names: ReadonlySet<string>): Parts =>
  new Map([...parts].filter(([name]) => names.has(name)))

const isSubset = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => a.isSubsetOf(new Set(b))

describe("any decision", () => {
  it("keeps parts of the store, all roots that are there, and nothing that leads to garbage", () => {
    fc.assert(
      fc.property(store, roots, (parts, roots) => {
        const { kept } = decide(parts, roots)
        assert.isTrue(isSubset(kept, new Set(parts.keys())))
        for (const { name } of roots) assert.strictEqual(kept.has(name), parts.has(name))
        for (const name of kept) {
          for (const next of parts.get(name)?.leadsTo ?? [])
            assert.strictEqual(kept.has(next), parts.has(next))
        }
      }),
    )
  })

  it("finds nothing the second time, with a limit or without", () => {
    fc.assert(
      fc.property(store, roots, fc.option(limit), (parts, roots, limit) => {
        const once = limit === null ? decide(parts, roots) : decideUnder(parts, roots, limit)
        const left = only(parts, once.kept)
        const again = limit === null ? decide(left, roots) : decideUnder(left, roots, limit)
        assert.deepStrictEqual([...again.kept].sort(), [...left.keys()].sort())
        assert.deepStrictEqual(again.dropped, [])
      }),
    )
  })

  it("keeps no less with more roots", () => {
    fc.assert(
      fc.property(store, roots, roots, (parts, some, more) => {
        assert.isTrue(isSubset(decide(parts, some).kept, decide(parts, [...some, ...more]).kept))
      }),
    )
  })

  it("keeps within a limit, or only what may not be dropped; what is kept leads to no garbage", () => {
    const outcomes = new Set<string>()
    fc.assert(
      fc.property(store, roots, limit, (parts, roots, limit) => {
        const { kept, dropped } = decideUnder(parts, roots, limit)
        const fixed = undroppable(parts, roots)
        const fits = sizeOf(parts, kept) <= limit
        assert.isTrue(isSubset(fixed, kept))
        if (!fits) assert.deepStrictEqual([...kept].sort(), [...fixed].sort())
        for (const name of dropped) assert.isFalse(kept.has(name))
        for (const name of kept) {
          for (const next of parts.get(name)?.leadsTo ?? [])
            assert.strictEqual(kept.has(next), parts.has(next))
        }
        outcomes.add(`${fits} ${dropped.length > 0}`)
      }),
      { numRuns: 500 },
    )
    assert.strictEqual(outcomes.size, 4, "every case has come up")
  })

  it("keeps no less where there is more room, and all that is wanted where there is enough", () => {
    fc.assert(
      fc.property(store, roots, limit, limit, (parts, roots, a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)].map((limit) => decideUnder(parts, roots, limit))
        assert.isTrue(isSubset(less.kept, more.kept))
        assert.deepStrictEqual(less.dropped.slice(0, more.dropped.length), more.dropped)
        const whole = decide(parts, roots)
        assert.deepStrictEqual(decideUnder(parts, roots, sizeOf(parts, whole.kept)), whole)
      }),
    )
  })
})
