/** Tiny interventions on a real store, beside the natural run of the same seed: for the tests of stage `intervene`. */
import { Effect, Schema } from "effect"
import { settings } from "../../src/pipelines/interventions.ts"
import { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { float32, getTable, getTensors } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import type { Cursor } from "../../src/services/Stage.ts"
import type { InterventionConfig } from "../../src/stages/arms.ts"
import { Checkpoint, loadState } from "../../src/stages/checkpoints.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { intervene } from "../../src/stages/intervene.ts"
import { train } from "../../src/stages/train.ts"
import type { TrainConfig } from "../../src/stages/training.ts"
import { tiny } from "../pipelines/tiny.ts"
import { memoryCursor, seed } from "./tinyRun.ts"

export type Input = Parameters<typeof intervene.run>[0]

/** Steps 1 to 5 fill the window, 6 to 20 are modified. */
export const keepSed: InterventionConfig = {
  arm: "keep-sed",
  version: "gradient",
  buffer: "modified",
  window: 4,
  rank: 2,
  warmup: 5,
}

/** Checkpoints 0, 5, …, 20. */
export const config: TrainConfig = { ...tiny.train, maxSteps: 20 }

/** Every arm of the pipeline. */
export const everyArm = settings.map(({ id, ...setting }) => ({
  name: `${id} (${setting.version})`,
  setting,
}))

/** What an input has of its own. */
export interface Change {
  readonly intervention?: Partial<InterventionConfig>
  readonly block?: Input["block"]
  readonly train?: Partial<TrainConfig>
  readonly operations?: Input["data"]["operations"]
  readonly size?: Pick<typeof tiny, "data" | "model">
}

export const inputOf = Effect.fn("inputOf")(function* (change: Change = {}) {
  const { data: dataConfig, model } = change.size ?? tiny
  const { operation, ...splitting } = dataConfig
  const operations = change.operations ?? [operation]
  const input: Input = {
    data: yield* generateData.run({ operations, ...splitting, seed }, memoryCursor().cursor),
    model,
    train: { ...config, ...change.train },
    intervention: { ...keepSed, ...change.intervention },
    block: change.block ?? "attention",
    seed,
    natural: null,
  }
  return input
})

const Entry = Schema.Struct({ step: Schema.Int, state: Schema.NullOr(ArtifactRef) })

let cursors = 0
/** The name of a cursor that nobody has used. */
export const freshKey = () => `${cursors++}`

/** The entries of a cursor: steps, and references to their states. */
export const entriesOf = Effect.fn("entriesOf")(function* (key: string) {
  const { cursor } = yield* ArtifactStore
  return yield* Schema.decodeUnknownEffect(Schema.Array(Entry))(yield* cursor(intervene.name, key))
})

/** Parameters, moments and window [rows] of a stored state. */
export const loadBlock = Effect.fn("loadBlock")(function* (state: ArtifactRef | null) {
  if (state === null) return yield* Effect.die("no state was stored")
  const tensors = yield* getTensors(state)
  const rows = Object.keys(tensors).filter((name) => name.startsWith("row."))
  return {
    theta: yield* float32(tensors, "theta"),
    first: yield* float32(tensors, "first"),
    second: yield* float32(tensors, "second"),
    rows: yield* Effect.forEach(rows.keys(), (i) => float32(tensors, `row.${i}`)),
  }
})
export type BlockState = Effect.Success<ReturnType<typeof loadBlock>>

type Commit = ReturnType<Cursor["advance"]>

/** A cursor of the store; `advanced` are the positions committed to it, `around` may add to a commit or spoil it. */
export const openCursor = Effect.fn("openCursor")(function* (
  key: string,
  around: (commit: Commit, position: number) => Commit = (commit) => commit,
) {
  const store = yield* ArtifactStore
  const advanced: Array<number> = []
  const cursor: Cursor = {
    entries: yield* store.cursor(intervene.name, key),
    advance: (position, entry) =>
      store.advance(intervene.name, key, position, entry).pipe(
        Effect.tap(() => Effect.sync(() => advanced.push(position))),
        (commit) => around(commit, position),
      ),
  }
  return { cursor, advanced }
})

/** What the stage makes of an input, from where the cursor is. `column` reads its table of steps; null is NaN. */
export const intervened = Effect.fn("intervened")(function* (input: Input, key = freshKey()) {
  const { cursor, advanced } = yield* openCursor(key)
  const output = yield* intervene.run(input, cursor)
  const table = yield* getTable(output.steps)
  const [{ state }] = (yield* entriesOf(key)).slice(-1)
  return {
    output,
    column: (name: string) => numbers(table, name),
    key,
    advanced,
    state: yield* loadBlock(state),
  }
})
export type Intervened = Effect.Success<ReturnType<typeof intervened>>

/** The states before the first step and after each. */
export const everyState = Effect.fn("everyState")(function* (input: Input) {
  const services = yield* Effect.context<ArtifactStore>()
  const key = freshKey()
  const states: Array<BlockState> = []
  // Read at once: the next commit drops it.
  const read = Effect.gen(function* () {
    const [{ state }] = (yield* entriesOf(key)).slice(-1)
    states.push(yield* loadBlock(state))
  }).pipe(Effect.orDie, Effect.provideContext(services))
  const { cursor } = yield* openCursor(key, (commit) => Effect.andThen(commit, read))
  yield* intervene.run({ ...input, train: { ...input.train, evaluateEvery: 1 } }, cursor)
  return states
})

/** The natural run of the same input. */
export const trained = Effect.fn("trained")(function* ({ data, model, train: config }: Input) {
  const { cursor, written } = memoryCursor()
  const output = yield* train.run({ data, model, train: config, seed }, cursor)
  const table = yield* getTable(output.losses)
  const last = yield* Schema.decodeUnknownEffect(Checkpoint)(written.at(-1))
  return { output, column: (name: string) => numbers(table, name), state: yield* loadState(last) }
})
export type Trained = Effect.Success<ReturnType<typeof trained>>
