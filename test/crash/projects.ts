/**
 * Made-up projects and edits of them: small graphs of stages that compute with integers, on the real runner, store and
 * pipeline nodes. What must be computed after an edit is predicted here without keys, digests or a store.
 */
import { NodeServices } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Effect, FileSystem, Layer, Schema } from "effect"
import * as fc from "fast-check"
import { evaluator, type Node, node } from "../../src/pipelines/Node.ts"
import { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { getJson, putJson } from "../../src/services/artifacts.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { stage } from "../../src/services/Stage.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"

/** A stage. A small modulus forgets much, so that outputs often stay as they are when inputs change. */
interface Kind {
  readonly version: number
  /** Changes the code and no result. */
  readonly salt: number
  readonly factor: number
  readonly modulus: number
}

/** A node: which stage, which leaves of the configuration it reads, and the earlier nodes that it takes. */
interface Step {
  readonly kind: number
  readonly reads: ReadonlyArray<number>
  readonly upstream: ReadonlyArray<number>
}

export interface Project {
  readonly config: ReadonlyArray<number>
  readonly kinds: ReadonlyArray<Kind>
  readonly steps: ReadonlyArray<Step>
}

const LEAVES = 4
const KINDS = 3

/** A number that stands for a place in a list of any length. */
const place = fc.nat(999)
const leaf = fc.nat(5)
const kind = fc.record({
  version: fc.constant(1),
  salt: fc.constant(0),
  factor: fc.integer({ min: 1, max: 3 }),
  modulus: fc.integer({ min: 2, max: 5 }),
})
const rawStep = fc.record({
  kind: fc.nat(KINDS - 1),
  reads: fc.uniqueArray(fc.nat(LEAVES - 1), { maxLength: 2 }),
  upstream: fc.uniqueArray(place, { maxLength: 3 }),
})
type RawStep = Step

/** A step at the end of `count` others, whose places become theirs. */
const stepAfter = (count: number, { upstream, ...step }: RawStep): Step => ({
  ...step,
  upstream: count === 0 ? [] : [...new Set(upstream.map((at) => at % count))],
})

export const projects: fc.Arbitrary<Project> = fc
  .record({
    config: fc.array(leaf, { minLength: LEAVES, maxLength: LEAVES }),
    kinds: fc.array(kind, { minLength: KINDS, maxLength: KINDS }),
    raw: fc.array(rawStep, { minLength: 1, maxLength: 7 }),
  })
  .map(({ raw, ...rest }) => ({ ...rest, steps: raw.map((step, count) => stepAfter(count, step)) }))

export const edits = fc.array(
  fc.oneof(
    fc.record({ _tag: fc.constant("leaf" as const), at: fc.nat(LEAVES - 1), to: leaf }),
    fc.record({ _tag: fc.constant("version" as const), at: fc.nat(KINDS - 1) }),
    fc.record({ _tag: fc.constant("refactoring" as const), at: fc.nat(KINDS - 1) }),
    fc.record({ _tag: fc.constant("code" as const), at: fc.nat(KINDS - 1), to: kind }),
    fc.record({ _tag: fc.constant("add" as const), step: rawStep }),
    fc.record({ _tag: fc.constant("remove" as const), at: place }),
    fc.record({ _tag: fc.constant("rewire" as const), at: place, to: rawStep }),
    fc.record({ _tag: fc.constant("touch" as const) }),
    fc.record({ _tag: fc.constant("revert" as const), to: place }),
  ),
  { minLength: 1, maxLength: 6 },
)
export type Edit = typeof edits extends fc.Arbitrary<ReadonlyArray<infer E>> ? E : never

const withoutStep = (steps: ReadonlyArray<Step>, at: number): ReadonlyArray<Step> =>
  steps.toSpliced(at, 1).map(({ upstream, ...step }) => ({
    ...step,
    upstream: upstream.filter((one) => one !== at).map((one) => (one > at ? one - 1 : one)),
  }))

/** The project after an edit of the newest of its `history`. */
const edited = (history: ReadonlyArray<Project>, edit: Edit): Project => {
  const project = history[history.length - 1]
  const { config, kinds, steps } = project
  const changed = (at: number, change: Partial<Kind>): Project => ({
    ...project,
    kinds: kinds.with(at, { ...kinds[at], ...change }),
  })
  switch (edit._tag) {
    case "leaf":
      return { ...project, config: config.with(edit.at, edit.to) }
    case "version":
      return changed(edit.at, { version: kinds[edit.at].version + 1 })
    case "refactoring":
      return changed(edit.at, { salt: kinds[edit.at].salt + 1 })
    case "code":
      return changed(edit.at, { factor: edit.to.factor, modulus: edit.to.modulus })
    case "add":
      return { ...project, steps: [...steps, stepAfter(steps.length, edit.step)] }
    case "remove":
      return steps.length === 1 ? project : { ...project, steps: withoutStep(steps, edit.at % steps.length) }
    case "rewire": {
      const at = edit.at % steps.length
      return { ...project, steps: steps.with(at, stepAfter(at, { ...edit.to, kind: steps[at].kind })) }
    }
    case "touch":
      return { ...project }
    case "revert":
      return history[edit.to % history.length]
  }
}

const codeOf = ({ factor, modulus, salt }: Kind): string => `x => ${factor} x mod ${modulus} // ${salt}`

/** What a stage computes. */
const computed = ({ factor, modulus }: Kind, leaves: ReadonlyArray<number>, values: ReadonlyArray<number>) =>
  (factor * [...leaves, ...values].reduce((sum, value, i) => sum + (i + 1) * value, 1)) % modulus

/** The value of each step, and how many computations are not among those that were `seen`, which they join. */
const predicted = ({ config, kinds, steps }: Project, seen: Set<string>) => {
  const values: Array<number> = []
  const before = seen.size
  for (const { kind, reads, upstream } of steps) {
    const leaves = reads.map((at) => config[at])
    const taken = upstream.map((at) => values[at])
    seen.add(JSON.stringify([kind, kinds[kind].version, codeOf(kinds[kind]), leaves, taken]))
    values.push(computed(kinds[kind], leaves, taken))
  }
  return { values, computations: seen.size - before }
}

const Output = Schema.Struct({ value: Schema.Int, blob: ArtifactRef })
const Input = Schema.Struct({ leaves: Schema.Array(Schema.Int), upstream: Schema.Array(Output) })

/** A stage that takes its upstream values from their blobs. */
const stageOf = (kinds: ReadonlyArray<Kind>, kind: number) =>
  stage({
    name: `stage-${kind}`,
    version: kinds[kind].version,
    module: `file:///stage-${kind}.ts`,
    input: Input,
    output: Output,
    usesEngine: false,
    run: Effect.fn(function* ({ leaves, upstream }) {
      const taken = yield* Effect.forEach(upstream, ({ blob }) => getJson(Schema.Int, blob))
      const value = computed(kinds[kind], leaves, taken)
      return { value, blob: yield* putJson(Schema.Int, value) }
    }),
  })

const nodesOf = ({ config, kinds, steps }: Project): ReadonlyArray<Node<typeof Output.Type>> => {
  const stages = kinds.map((_, kind) => stageOf(kinds, kind))
  const nodes: Array<Node<typeof Output.Type>> = []
  for (const [i, { kind, reads, upstream }] of steps.entries()) {
    const input = { leaves: reads.map((at) => config[at]), upstream: upstream.map((at) => nodes[at]) }
    nodes.push(node(stages[kind], input, String(i)))
  }
  return nodes
}

const codeOfKinds = (kinds: ReadonlyArray<Kind>) =>
  Layer.succeed(CodeFingerprint, {
    of: (module) => {
      const kind = /stage-(\d)/.exec(module)?.[1]
      return Effect.succeed(kind === undefined ? "codec" : codeOf(kinds[Number(kind)]))
    },
  })

const noEngine = Layer.succeed(TensorEngine, {
  id: "none",
  version: Effect.succeed("1"),
  compile: () => Effect.die("compiled a program"),
  compileScan: () => Effect.die("compiled a scan"),
})

/** Durability is tested elsewhere, and takes most of the time here. */
const withoutSync = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) =>
    FileSystem.FileSystem.of({
      ...fs,
      open: (path, options) =>
        Effect.map(fs.open(path, options), (file) => ({
          ...file,
          sync: Effect.void,
          writeAll: (bytes: Uint8Array) => file.writeAll(bytes),
        })),
    }),
  ),
)

export const laboratory = withoutSync.pipe(Layer.provideMerge(NodeServices.layer))

/** Runs all of a project as a new process would. */
const run = (project: Project, root: string) =>
  Effect.gen(function* () {
    const resolve = evaluator()
    const outputs = yield* Effect.forEach(nodesOf(project), resolve, { concurrency: "unbounded" })
    const history = yield* Effect.flatMap(StageRunner, ({ history }) => history)
    return { outputs, computations: history.filter(({ cached }) => !cached).length }
  }).pipe(
    Effect.provide(Layer.fresh(StageRunner.layer().pipe(Layer.provide(Executor.inProcess())))),
    Effect.provide([
      Layer.fresh(ArtifactStore.layer(root)),
      codeOfKinds(project.kinds),
      noEngine,
      Progress.silent,
    ]),
  )

/** How much was checked. */
export interface Checked {
  edits: number
  computed: number
  found: number
}

/**
 * After each edit: what the store that has seen all former states ends with is what an empty one ends with, and what is
 * computed is what was not computed before.
 */
export const checkEdits = Effect.fn("checkEdits")(function* (
  project: Project,
  edits: ReadonlyArray<Edit>,
  checked: Checked,
) {
  const kept = yield* temporaryDirectory
  const seen = new Set<string>()
  const history: Array<Project> = []
  for (const edit of [undefined, ...edits]) {
    const state = edit === undefined ? project : edited(history, edit)
    history.push(state)
    const prediction = predicted(state, seen)
    const incremental = yield* run(state, kept)
    const fromScratch = yield* run(state, yield* temporaryDirectory)
    const after = edit === undefined ? "at first" : `after edit ${history.length - 1}, ${edit._tag}`
    assert.deepStrictEqual(incremental.outputs, fromScratch.outputs, after)
    assert.deepStrictEqual(
      incremental.outputs.map(({ value }) => value),
      prediction.values,
      after,
    )
    assert.strictEqual(incremental.computations, prediction.computations, `computed ${after}`)
    assert.strictEqual(
      fromScratch.computations,
      predicted(state, new Set()).computations,
      `computed from scratch ${after}`,
    )
    checked.edits += edit === undefined ? 0 : 1
    checked.computed += incremental.computations
    checked.found += fromScratch.computations - incremental.computations
  }
}, Effect.scoped)

/** Checks `count` random projects; the smallest one that fails is the failure. */
export const checkProjects = (count: number, seed?: number) =>
  Effect.gen(function* () {
    const services = yield* Effect.context<Layer.Success<typeof laboratory>>()
    const checked: Checked = { edits: 0, computed: 0, found: 0 }
    yield* Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(projects, edits, (project, edits) =>
          Effect.runPromiseWith(services)(checkEdits(project, edits, checked)),
        ),
        { numRuns: count, ...(seed === undefined ? {} : { seed }) },
      ),
    )
    return checked
  })
