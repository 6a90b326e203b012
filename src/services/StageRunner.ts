/**
 * Runs stages through the store: the same key returns the stored output, anything else is computed and committed.
 * Running again is resuming; there is no flag for it. One key, and one cursor, is computed once at a time, by this process or another. Knows no particular stage.
 */
import { Context, DateTime, Effect, Latch, Layer, Option, Schema, Scope, Semaphore } from "effect"
import { ArtifactStore, type DamagedArtifact, type StageRecord, type StoreError } from "./ArtifactStore.ts"
import type { CodeFingerprint, FingerprintError } from "./CodeFingerprint.ts"
import { Executor, type StageFailure } from "./executor/Executor.ts"
import { Journal } from "./Journal.ts"
import { Leases } from "./Leases.ts"
import { machine } from "./machine.ts"
import { Progress } from "./Progress.ts"
import { isWhole, referencesOf } from "./references.ts"
import type { Stage } from "./Stage.ts"
import { stageCode } from "./stageCode.ts"
import { digestOf } from "./store/canonical.ts"
import type { TensorEngine } from "./TensorEngine.ts"

export interface StageResult<Output> {
  readonly output: Output
  readonly key: string
  readonly cached: boolean
}

/** A key that was asked for, computed now or before. */
export interface Ran {
  readonly label: string
  readonly stage: string
  readonly key: string
  /** Whether it was found, not computed. */
  readonly cached: boolean
  readonly provenance: StageRecord["provenance"]
}

/** What can go wrong beside the stage itself. */
export type RunnerError = StoreError | StageFailure | FingerprintError | Schema.SchemaError

/** Another process computes it, or has computed it meanwhile. */
class Elsewhere extends Schema.TaggedError<Elsewhere>()("Elsewhere", {}) {}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Milliseconds between two looks at what another process computes. */
const POLL = 200

/** What names a computation: its key, what that digests, and its cursor. */
interface Computation {
  readonly key: string
  readonly preimage: unknown
  readonly cursorKey: string
}

export class StageRunner extends Context.Service<
  StageRunner,
  {
    readonly run: <Input, Output, E, R>(
      stage: Stage<Input, Output, E, R>,
      input: Input,
      /** What progress calls it. */
      label?: string,
    ) => Effect.Effect<StageResult<Output>, E | RunnerError, R>
    /** Every key that this runner was asked for, in order. */
    readonly history: Effect.Effect<ReadonlyArray<Ran>>
  }
>()("grokscope/services/StageRunner") {
  /**
   * @param note stored with everything that is computed, outside of its key
   * @param command what the process was started as, for others that wait for it
   */
  static readonly layer = ({
    note,
    command = "",
  }: {
    readonly note?: string | undefined
    readonly command?: string
  } = {}) =>
    Layer.effect(
      StageRunner,
      Effect.gen(function* () {
        const services = yield* Effect.context<CodeFingerprint | TensorEngine>()
        const store = yield* ArtifactStore
        const progress = yield* Progress
        const executor = yield* Executor
        const leases = yield* Leases
        const { append, file } = yield* Journal

        /** Keys are formed and looked up one at a time, so that stages get in line in the order of asking. */
        const turn = yield* Semaphore.make(1)
        /** What is being computed, by cursor, which has one writer at a time; opens when that ends. */
        const inFlight = new Map<string, Latch.Latch>()
        const ran = new Map<string, Ran>()

        const warn = ({ message }: DamagedArtifact) => progress.say(`warning: ${message}`)
        const tellOfFailure = Effect.fnUntraced(function* (
          named: Pick<Ran, "label" | "stage" | "key">,
          error: unknown,
        ) {
          const because = describe(error)
          yield* progress.say(`${named.label} failed: ${because} (log: ${yield* file})`)
          yield* append({ _tag: "Failed", ...named, because })
        })

        /** The stored output under a key, if everything that it leads to is there. */
        const lookup = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          key: string,
        ) {
          const none = Option.none<{ readonly output: Output; readonly provenance: Ran["provenance"] }>()
          const record = yield* store
            .record(stage.name, key)
            .pipe(Effect.catchTag("DamagedArtifact", (damage) => Effect.as(warn(damage), Option.none())))
          if (Option.isNone(record)) return none
          const { output, provenance } = record.value
          const whole = isWhole(output).pipe(
            Effect.provideService(ArtifactStore, store),
            Effect.catchTag("DamagedArtifact", (damage) => Effect.as(warn(damage), false)),
          )
          if (!(yield* whole)) return none
          return Option.map(Schema.decodeUnknownOption(stage.output)(output), (output) => ({
            output,
            provenance,
          }))
        })

        /** What is to be done about a stage's input; a computation is in flight until `scope` closes. */
        const decide = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          input: Input,
          scope: Scope.Scope,
        ) {
          const encodedInput = yield* Schema.encodeEffect(stage.input)(input)
          const preimage = { ...(yield* stageCode(stage)), input: encodedInput }
          const key = digestOf(preimage)
          const { identity } = stage
          const cursorKey = identity === undefined ? key : digestOf({ ...preimage, input: identity(input) })
          const earlier = inFlight.get(cursorKey)
          const stored = yield* lookup(stage, key)
          if (Option.isSome(stored)) return { _tag: "Cached", key, ...stored.value } as const
          if (earlier !== undefined) return { _tag: "Wait", earlier } as const
          const latch = Latch.makeUnsafe()
          yield* Scope.addFinalizer(
            scope,
            Effect.suspend(() => {
              inFlight.delete(cursorKey)
              return latch.open
            }),
          )
          inFlight.set(cursorKey, latch)
          return { _tag: "Compute", key, preimage, cursorKey } as const
        })

        /** Waits until another process has stored a key's output, or does not compute it any more. */
        const waitFor = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          { key, cursorKey }: Computation,
          label: string,
        ) {
          let told = false
          while (Option.isNone(yield* lookup(stage, key))) {
            const lease = yield* leases.holder(cursorKey)
            if (Option.isNone(lease)) return
            const { pid, host } = lease.value.holder
            if (!told) yield* progress.say(`${label}: process ${pid} on ${host} computes it, waiting`)
            told = true
            yield* Effect.sleep(POLL)
          }
        })

        /** Computes and commits, once it is its turn and unless another process does so. */
        const compute = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          input: Input,
          { key, preimage, cursorKey }: Computation,
          label: string,
          scope: Scope.Scope,
        ) {
          const begin = Effect.gen(function* () {
            const other = yield* leases.take(cursorKey, label)
            if (Option.isSome(other) || Option.isSome(yield* lookup(stage, key)))
              return yield* new Elsewhere()
          }).pipe(Scope.provide(scope))
          const named = { label, stage: stage.name, key }
          const { output, seconds } = yield* executor.compute(stage, input, { cursorKey, label, begin }).pipe(
            Effect.tapError((error) =>
              error instanceof Elsewhere
                ? Effect.void
                : // Whoever waits for the failure does not wait for the journal, which ends after this.
                  Effect.forkDetach(tellOfFailure(named, error), { startImmediately: true }),
            ),
          )
          const provenance = {
            committedAt: DateTime.formatIso(yield* DateTime.now),
            seconds,
            machine: machine(),
            node: process.version,
            ...(note === undefined ? {} : { note }),
          }
          const encoded = yield* Schema.encodeEffect(stage.output)(output)
          yield* store.commitRecord({
            stage: stage.name,
            key,
            preimage,
            cursor: cursorKey,
            output: encoded,
            provenance,
          })
          const bytes = referencesOf(encoded).reduce((sum, ref) => sum + ref.bytes, 0)
          yield* append({ _tag: "Computed", ...named, seconds, bytes })
          ran.set(key, { ...named, cached: false, provenance })
          return { output, key, cached: false }
        })

        const run = <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          input: Input,
          label: string = stage.name,
        ): Effect.Effect<StageResult<Output>, E | RunnerError, R> =>
          Effect.scopedWith(
            Effect.fnUntraced(function* (scope) {
              const decision = yield* turn
                .withPermit(decide(stage, input, scope))
                .pipe(Effect.provideContext(services))
              switch (decision._tag) {
                case "Wait":
                  return Effect.andThen(decision.earlier.await, run(stage, input, label))
                case "Cached": {
                  const { key, output, provenance } = decision
                  yield* progress.cached(label)
                  const { accepted } = provenance
                  if (accepted !== undefined) {
                    yield* progress.say(
                      `${label}: computed by other code, accepted because ${accepted.because}`,
                    )
                  }
                  if (!ran.has(key)) {
                    const named = { label, stage: stage.name, key }
                    ran.set(key, { ...named, cached: true, provenance })
                    yield* append({ _tag: "Found", ...named })
                  }
                  return Effect.succeed({ output, key, cached: true })
                }
                case "Compute":
                  return yield* compute(stage, input, decision, label, scope).pipe(
                    Effect.map(Effect.succeed),
                    Effect.catchTag("Elsewhere", () =>
                      Effect.succeed(
                        Effect.andThen(waitFor(stage, decision, label), run(stage, input, label)),
                      ),
                    ),
                  )
              }
            }),
          ).pipe(Effect.flatten)

        return StageRunner.of({ run, history: Effect.sync(() => [...ran.values()]) })
      }),
    ).pipe(Layer.provide([Leases.layer(command), Journal.layer(command)]))
}
