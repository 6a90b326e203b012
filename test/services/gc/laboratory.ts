/** A store with results of a small resumable stage, as runs of several commands and of several versions of the code left it. */
import { Effect, Layer, Schema } from "effect"
import { ArtifactRef } from "../../../src/services/Artifact.ts"
import { ArtifactStore } from "../../../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { Executor } from "../../../src/services/executor/Executor.ts"
import { gc } from "../../../src/services/gc/gc.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { type Cursor, stage } from "../../../src/services/Stage.ts"
import { StageRunner } from "../../../src/services/StageRunner.ts"
import { TensorEngine } from "../../../src/services/TensorEngine.ts"

const engine = Layer.succeed(TensorEngine, {
  id: "untouched",
  version: Effect.succeed("1"),
  compile: () => Effect.die("compiled a program"),
  compileScan: () => Effect.die("compiled a scan"),
})

export const withCode = (fingerprint: string) =>
  Layer.merge(Layer.succeed(CodeFingerprint, { of: () => Effect.succeed(fingerprint) }), engine)

export const text = (content: string) => new TextEncoder().encode(content)

const Entry = Schema.Struct({ i: Schema.Int, state: ArtifactRef })

/** A state for each number up to `to`, a list of them as the output; fails after `failAt` of them. */
export const states = stage({
  name: "states",
  version: 1,
  module: "file:///states.ts",
  input: Schema.Struct({ seed: Schema.Int, to: Schema.Int, failAt: Schema.optionalKey(Schema.Int) }),
  output: Schema.Struct({ list: ArtifactRef }),
  usesEngine: false,
  identity: ({ seed }) => ({ seed }),
  run: Effect.fn(function* ({ seed, to, failAt }, cursor: Cursor) {
    const store = yield* ArtifactStore
    const entries = yield* Schema.decodeUnknownEffect(Schema.Array(Entry))(cursor.entries)
    const done = entries.filter((entry, i) => entry.i === i)
    for (let i = done.length; i < to; i++) {
      if (i === failAt) return yield* Effect.fail(new Error(`stopped at ${i}`))
      const entry = { i, state: yield* store.put("safetensors", text(`state ${i} of ${seed}`)) }
      yield* cursor.advance(i, entry)
      done.push(entry)
    }
    return { list: yield* store.put("json", text(JSON.stringify(done.slice(0, to)))) }
  }),
})

/** What is made from such a list. */
export const summary = stage({
  name: "summary",
  version: 1,
  module: "file:///summary.ts",
  input: Schema.Struct({ list: ArtifactRef }),
  output: Schema.Struct({ text: ArtifactRef }),
  usesEngine: false,
  run: Effect.fn(function* ({ list }) {
    const store = yield* ArtifactStore
    return { text: yield* store.put("json", text(`"of ${list.digest}"`)) }
  }),
})

export interface RunOptions {
  readonly command?: string
  readonly code?: string
  readonly seed?: number
  readonly to?: number
  readonly failAt?: number
}

/** A run of both stages, and whether it computed; journals of one test need times of their own. */
export const runBoth = ({ command = "run", code = "code", seed = 1, to = 3, failAt }: RunOptions = {}) =>
  Effect.gen(function* () {
    yield* Effect.sleep(3)
    const { run } = yield* StageRunner
    const first = yield* run(
      states,
      { seed, to, ...(failAt === undefined ? {} : { failAt }) },
      `states ${seed}`,
    )
    const second = yield* run(summary, first.output, `summary ${seed}`)
    return { keys: [first.key, second.key], cached: first.cached && second.cached }
  }).pipe(
    Effect.provide(
      Layer.fresh(StageRunner.layer({ command }).pipe(Layer.provide(Executor.inProcess()))).pipe(
        Layer.provide([withCode(code), Progress.silent]),
      ),
    ),
  )

/** A collection as another process does it. */
export const collecting = (options: { readonly dryRun?: boolean; readonly keepUnder?: number } = {}) =>
  gc({ dryRun: false, ...options }).pipe(Effect.provide(Layer.fresh(Leases.layer("gc"))))
