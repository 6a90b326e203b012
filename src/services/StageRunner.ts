/**
 * Runs stages through the store: the same key returns the stored output, anything else is computed and committed.
 * Running again is resuming; there is no flag for it. One key, and one cursor, is computed once at a time, by this process or another. Knows no particular stage.
 */
import { Context, DateTime, Effect, Latch, Layer, Option, Schedule, Schema, Scope, Semaphore } from "effect"
import { ArtifactStore, type DamagedArtifact, type StageRecord, type StoreError } from "./ArtifactStore.ts"
import type { CodeFingerprint, FingerprintError } from "./CodeFingerprint.ts"
import { Executor, StageFailure } from "./executor/Executor.ts"
import { makeTurns } from "./executor/turns.ts"
import { Journal } from "./Journal.ts"
import { Leases } from "./Leases.ts"
import { type Computation, identify, lookup } from "./lookup.ts"
import { machine } from "./machine.ts"
import { Progress } from "./Progress.ts"
import { digestsIn, referencesOf } from "./references.ts"
import type { Stage } from "./Stage.ts"
import type { TensorEngine } from "./TensorEngine.ts"
import { asSpan, outcome } from "./telemetry.ts"

export interface StageResult<Output> {
  readonly output: Output
  readonly key: string
  readonly cached: boolean
}

/** A key that was asked for, computed now or before. */
export interface Ran {
  /** Of several that it was asked for under, the first by name, whichever came first. */
  readonly label: string
  readonly stage: string
  readonly key: string
  /** Whether it was found, not computed. */
  readonly cached: boolean
  readonly provenance: StageRecord["provenance"]
  /** Fingerprint of the code that it was computed by. */
  readonly code: string
  /** Digests of the artifacts that its output names. */
  readonly artifacts: ReadonlyArray<string>
}

/** Keeps what a key came to; what was computed counts as such, also where it is found later. */
const remember = (ran: Map<string, Ran>, one: Ran): void => {
  const earlier = ran.get(one.key)
  const label = earlier !== undefined && earlier.label < one.label ? earlier.label : one.label
  ran.set(one.key, { ...(one.cached ? (earlier ?? one) : one), label })
}

/** What can go wrong beside the stage itself. */
export type RunnerError = StoreError | StageFailure | FingerprintError | Schema.SchemaError | NotStored

/** Another process computes it, or has computed it meanwhile. */
class Elsewhere extends Schema.TaggedError<Elsewhere>()("Elsewhere", {}) {}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A file system of several machines may show what was stored elsewhere only after a while. */
const ARRIVAL = "90 seconds"

/** Stages that are begun and not ended; what comes after them waits in line, where it takes less memory. */
const MOST_AT_A_TIME = 4096

/** Milliseconds between two looks at what another process computes. */
const POLL = 200

/** A runner that computes nothing was asked for what is not stored. */
export class NotStored extends Schema.TaggedError<NotStored>()("NotStored", {
  label: Schema.String,
  stage: Schema.String,
  key: Schema.String,
  /** What the key digests. */
  preimage: Schema.Unknown,
  /** Names the cursor that it would be computed on. */
  cursor: Schema.String,
}) {
  override get message() {
    return `${this.label} is not in the store; run the pipeline first`
  }
}

export class StageRunner extends Context.Service<
  StageRunner,
  {
    /** Stages that are computed side by side. */
    readonly workers: number
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
   * @param leases those of the process, where it has other use for them
   */
  static readonly layer = ({
    note,
    command = "",
    leases = Leases.layer(command),
  }: {
    readonly note?: string | undefined
    readonly command?: string
    readonly leases?: ReturnType<typeof Leases.layer>
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
        const line = makeTurns(MOST_AT_A_TIME)
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

        const noteFound = Effect.fnUntraced(function* (
          named: Pick<Ran, "label" | "stage" | "key">,
          found: Pick<Ran, "provenance" | "code" | "artifacts">,
        ) {
          const isKnown = ran.has(named.key)
          remember(ran, { ...named, cached: true, ...found })
          if (!isKnown) yield* append({ _tag: "Found", ...named })
        })

        const stored = <Input, Output, E, R>(stage: Stage<Input, Output, E, R>, key: string) =>
          Effect.provideService(lookup(stage, key, warn), ArtifactStore, store)

        /** What is to be done about a stage's input; a computation is in flight until `scope` closes. */
        const decide = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          input: Input,
          scope: Scope.Scope,
        ) {
          const computation = yield* identify(stage, input)
          const { key, cursorKey } = computation
          const earlier = inFlight.get(cursorKey)
          const found = yield* stored(stage, key)
          if (Option.isSome(found)) return { _tag: "Cached", ...computation, ...found.value } as const
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
          return { _tag: "Compute", ...computation } as const
        })

        /** Waits until another process has stored a key's output, or does not compute it any more. */
        const waitFor = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          { key, cursorKey }: Computation,
          label: string,
        ) {
          let told = false
          while (Option.isNone(yield* stored(stage, key))) {
            const lease = yield* leases.holder(cursorKey)
            if (Option.isNone(lease)) return
            const { pid, host } = lease.value.holder
            if (!told) yield* progress.say(`${label}: process ${pid} on ${host} computes it, waiting`)
            told = true
            yield* Effect.sleep(POLL)
          }
        })

        /** What another process has computed and stored. */
        const arrived = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          key: string,
          label: string,
        ) {
          const found = yield* stored(stage, key).pipe(
            Effect.repeat({ schedule: Schedule.spaced(POLL), until: Option.isSome }),
            Effect.timeoutOption(ARRIVAL),
          )
          if (Option.isSome(found) && Option.isSome(found.value)) return found.value.value
          return yield* new StageFailure({
            stage: stage.name,
            label,
            tag: "NotArrived",
            message: `${label}: a worker says that it is stored, but it is not in this store, or was damaged; run the same command again`,
          })
        })

        /** Computes and commits, once it is its turn and unless another process does so. */
        const compute = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          input: Input,
          { key, preimage, cursorKey }: Computation,
          label: string,
          scope: Scope.Scope,
        ) {
          const named = { label, stage: stage.name, key }
          const begin = Effect.gen(function* () {
            const other = yield* leases.take(cursorKey, label)
            if (Option.isSome(other) || Option.isSome(yield* stored(stage, key)))
              return yield* new Elsewhere()
            yield* append({ _tag: "Began", ...named, cursor: cursorKey })
          }).pipe(Scope.provide(scope))
          const ask = append({ _tag: "Asked", ...named })
          const computed = yield* executor.compute(stage, input, { key, cursorKey, label, begin, ask }).pipe(
            Effect.tapError((error) =>
              error instanceof Elsewhere
                ? Effect.void
                : // Whoever waits for the failure does not wait for the journal, which ends after this.
                  Effect.forkDetach(tellOfFailure(named, error), { startImmediately: true }),
            ),
          )
          if (Option.isNone(computed)) {
            const { output, ...found } = yield* arrived(stage, key, label)
            yield* noteFound(named, { ...found, code: preimage.code })
            yield* outcome("computed elsewhere", stage.name, key)
            return { output, key, cached: true }
          }
          const { output, seconds } = computed.value
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
          yield* outcome("computed", stage.name, key, { seconds, bytes })
          remember(ran, {
            ...named,
            cached: false,
            provenance,
            code: preimage.code,
            artifacts: digestsIn(encoded),
          })
          return { output, key, cached: false }
        })

        /** What is held ends with the scope; what comes after it, such as waiting for another process, is returned and done then. */
        const run = <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          input: Input,
          label: string,
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
                  const { key, preimage, output, provenance, artifacts } = decision
                  yield* progress.cached(label)
                  const { accepted } = provenance
                  if (accepted !== undefined) {
                    yield* progress.say(
                      `${label}: computed by other code, accepted because ${accepted.because}`,
                    )
                  }
                  yield* noteFound(
                    { label, stage: stage.name, key },
                    { provenance, artifacts, code: preimage.code },
                  )
                  yield* outcome("found", stage.name, key)
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

        return StageRunner.of({
          workers: executor.workers,
          run: (stage, input, label = stage.name) =>
            line.withPermit(Effect.suspend(() => run(stage, input, label).pipe(asSpan(stage.name, label)))),
          history: Effect.sync(() => [...ran.values()]),
        })
      }),
    ).pipe(Layer.provide([leases, Journal.layer(command)]))

  /** Computes and writes nothing: what is not stored fails with {@link NotStored}. */
  static readonly peeking = Layer.effect(
    StageRunner,
    Effect.gen(function* () {
      const services = yield* Effect.context<CodeFingerprint | TensorEngine | ArtifactStore>()
      const progress = yield* Progress
      const ran = new Map<string, Ran>()
      const run = Effect.fnUntraced(function* <Input, Output, E, R>(
        stage: Stage<Input, Output, E, R>,
        input: Input,
        label: string = stage.name,
      ): Effect.fn.Return<StageResult<Output>, RunnerError> {
        const { key, preimage, cursorKey } = yield* Effect.provideContext(identify(stage, input), services)
        const found = yield* Effect.provideContext(
          lookup(stage, key, ({ message }) => progress.say(`warning: ${message}`)),
          services,
        )
        const named = { label, stage: stage.name, key }
        if (Option.isNone(found)) {
          return yield* new NotStored({ ...named, preimage, cursor: cursorKey })
        }
        const { output, ...rest } = found.value
        remember(ran, { ...named, cached: true, code: preimage.code, ...rest })
        return { output, key, cached: true }
      })
      return StageRunner.of({ workers: 1, run, history: Effect.sync(() => [...ran.values()]) })
    }),
  )
}
