/**
 * A tensor engine that computes what is asked for at the same time as one: calls of the same program become an ensemble
 * (`model/ensemble.ts`). Stages know nothing of it: sixteen trainings side by side, each in a fiber of its own, are
 * one training of sixteen members on the device.
 *
 * A call waits until everybody who has the program open has called, or, since they may be busy elsewhere, for half as long as the
 * last one took. Where memory is short, ensembles become half as large.
 */
import { createHash } from "node:crypto"
import { Clock, Deferred, Effect, Exit, Latch, Layer, Option, Scope, Semaphore } from "effect"
import { apart, interleave, programOf, scanOf } from "../../model/ensemble.ts"
import type { Program, Scan, Signature, Values } from "../../model/Program.ts"
import { Progress } from "../Progress.ts"
import {
  type EngineError,
  type Executable,
  OutOfMemory,
  type ScanExecutable,
  TensorEngine,
} from "../TensorEngine.ts"
import { programModel, scanModel } from "./onnx/compile.ts"
import { checkValues, scanLength } from "./signature.ts"

/** Milliseconds that a call waits for others, at least and at most. */
const PATIENCE = { least: 5, most: 1000 }

/** Sizes of ensembles that a program is kept compiled for. */
const KEPT = 4

/** Computes all members at once; their results in the same order. */
type Run<In, Out> = (members: ReadonlyArray<In>) => Effect.Effect<ReadonlyArray<Out>, EngineError>

/** A call that waits. */
interface Call<In, Out> {
  /** Counts calls of all groups. */
  readonly number: number
  /** When it called, in milliseconds. */
  readonly at: number
  readonly inputs: In
  /** Only calls of equal lengths go together. */
  readonly length: number
  readonly answer: Deferred.Deferred<Out, EngineError>
}

interface Compiled<In, Out> {
  readonly run: Run<In, Out>
  readonly close: Effect.Effect<void>
}

/** What is asked of one program. */
interface Group<In, Out> {
  readonly compile: (size: number) => Effect.Effect<Run<In, Out>, EngineError, Scope.Scope>
  readonly compiled: Map<number, Compiled<In, Out>>
  /** How many have the program open. */
  holders: number
  /** Members of an ensemble, at most. */
  limit: number
  waiting: Array<Call<In, Out>>
  /** Milliseconds of the last ensemble. */
  took: number
  /** Why the limit is lower than it was, until a smaller ensemble has run. */
  shortage: OutOfMemory | undefined
}

/** Whether nobody else can come. */
const isComplete = <In, Out>({ waiting, holders, limit }: Group<In, Out>): boolean =>
  waiting.length >= Math.min(holders, limit)

/** Milliseconds that the callers of a group wait for others from now on. */
const left = <In, Out>(group: Group<In, Out>, now: number): number => {
  if (isComplete(group)) return 0
  const patience = Math.min(Math.max(PATIENCE.least, group.took / 2), PATIENCE.most)
  return group.waiting[0].at + patience - now
}

const forget = <In, Out>({ compiled }: Group<In, Out>, size: number): Effect.Effect<void> => {
  const close = compiled.get(size)?.close ?? Effect.void
  compiled.delete(size)
  return close
}

/** The program compiled for a size; that which was used longest ago makes room. */
const compiledFor = Effect.fnUntraced(function* <In, Out>(group: Group<In, Out>, size: number) {
  const { compile, compiled } = group
  const known = compiled.get(size)
  if (known !== undefined) {
    compiled.delete(size)
    compiled.set(size, known)
    return known.run
  }
  const [oldest] = compiled.keys()
  if (compiled.size >= KEPT) yield* forget(group, oldest)
  const scope = yield* Scope.make()
  const run = yield* Scope.provide(compile(size), scope).pipe(
    Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)),
  )
  // A session that does not close in order is no reason to compute nothing any more.
  compiled.set(size, { run, close: Effect.asVoid(Effect.exit(Scope.close(scope, Exit.void))) })
  return run
})

/** Computes the calls that have waited longest, as many as go together; where memory is short, none, and fewer the next time. */
const computeNext = Effect.fnUntraced(function* <In, Out>(group: Group<In, Out>) {
  const { waiting, limit } = group
  const alike = waiting.filter(({ length }) => length === waiting[0]?.length)
  if (alike.length === 0) return
  const size = Math.min(alike.length, limit)
  const calls = alike.slice(0, size)
  const started = yield* Clock.currentTimeMillis
  const exit = yield* compiledFor(group, size).pipe(
    Effect.flatMap((run) => run(calls.map(({ inputs }) => inputs))),
    Effect.exit,
  )
  group.took = (yield* Clock.currentTimeMillis) - started
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (error instanceof OutOfMemory && size > 1) {
    group.limit = Math.floor(size / 2)
    group.shortage = error
    return yield* forget(group, size)
  }
  if (group.shortage !== undefined && Exit.isSuccess(exit)) {
    const progress = yield* Progress
    yield* progress.say(new OutOfMemory({ ...group.shortage, largest: size }).message)
    group.shortage = undefined
  }
  group.waiting = group.waiting.filter((call) => !calls.includes(call))
  for (const [i, { answer }] of calls.entries()) {
    yield* Deferred.done(
      answer,
      Exit.map(exit, (results) => results[i]),
    )
  }
})

/** A program as what a group computes: one member by the program itself, several by an ensemble. */
const runProgram = <I extends Signature, O extends Signature>(
  engine: typeof TensorEngine.Service,
  program: Program<I, O>,
) =>
  Effect.fnUntraced(function* (size: number) {
    const { inputs, outputs } = program
    if (size === 1) {
      const { run } = yield* engine.compile(program)
      return (members: ReadonlyArray<Values<I>>) => Effect.forEach(members, run)
    }
    const { run } = yield* engine.compile(programOf(program, size))
    return (members: ReadonlyArray<Values<I>>) =>
      Effect.map(run(interleave(inputs, members)), (all) => apart(outputs, all, size))
  })

/** A scan as what a group computes. */
const runScan = <C extends Signature, X extends Signature, K extends Signature, Y extends Signature>(
  engine: typeof TensorEngine.Service,
  scan: Scan<C, X, K, Y>,
) =>
  Effect.fnUntraced(function* (size: number) {
    type Inputs = Parameters<ScanExecutable<C, X, K, Y>["run"]>[0]
    const lengthOf = ({ xs }: Inputs) => scanLength(scan.name, scan.xs, xs)
    if (size === 1) {
      const { run } = yield* engine.compileScan(scan)
      return (members: ReadonlyArray<Inputs>) => Effect.forEach(members, run)
    }
    const { run } = yield* engine.compileScan(scanOf(scan, size))
    return Effect.fnUntraced(function* (members: ReadonlyArray<Inputs>) {
      const length = yield* lengthOf(members[0])
      const of = <K extends keyof Inputs>(part: K) => members.map((inputs) => inputs[part])
      const { carry, ys } = yield* run({
        carry: interleave(scan.carry, of("carry")),
        xs: interleave(scan.xs, of("xs"), length),
        constants: interleave(scan.constants, of("constants")),
      })
      const carries = apart(scan.carry, carry, size)
      return apart(scan.ys, ys, size, length).map((own, i) => ({ carry: carries[i], ys: own }))
    })
  })

/** Bytes that are equal for equal programs; none where it cannot be traced, of which the engine says why. */
const traced = (model: () => Uint8Array): Option.Option<string> => {
  try {
    return Option.some(createHash("sha256").update(model()).digest("hex"))
  } catch {
    return Option.none()
  }
}

export const Ensembles = {
  /** The engine at hand, with ensembles of up to `most` members. */
  layer: ({ most }: { readonly most: number }) =>
    Layer.effect(
      TensorEngine,
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const progress = yield* Progress
        const groups = new Map<string, Group<unknown, unknown>>()
        /** Open while somebody waits. */
        const asked = yield* Latch.make(false)
        /** Open where waiting longer is in vain. */
        const complete = yield* Latch.make(false)
        /** Whoever uses what is compiled, or closes it. */
        const device = yield* Semaphore.make(1)

        let calls = 0

        /** The group whose turn it is: of those that wait no longer, or else of all, that of the oldest call. */
        const next = (now: number) => {
          const waiting = [...groups.values()].filter((group) => group.waiting.length > 0)
          const ready = waiting.filter((group) => left(group, now) <= 0)
          return (ready.length > 0 ? ready : waiting).reduce<Group<unknown, unknown> | undefined>(
            (first, group) =>
              first === undefined || group.waiting[0].number < first.waiting[0].number ? group : first,
            undefined,
          )
        }

        yield* Effect.gen(function* () {
          yield* asked.await
          const now = yield* Clock.currentTimeMillis
          const group = next(now)
          if (group === undefined) return yield* asked.close
          const wait = left(group, now)
          if (wait > 0) {
            yield* complete.close
            return yield* Effect.timeoutOption(complete.await, wait)
          }
          const present = [...group.waiting]
          while (present.some((call) => group.waiting.includes(call))) {
            // Native code that has begun ends before what it uses is closed.
            yield* Effect.uninterruptible(device.withPermit(computeNext(group)))
          }
        }).pipe(Effect.forever, Effect.provideService(Progress, progress), Effect.forkScoped)

        const call = Effect.fnUntraced(function* <In, Out>(
          group: Group<In, Out>,
          inputs: In,
          length: number,
        ) {
          const answer = yield* Deferred.make<Out, EngineError>()
          const at = yield* Clock.currentTimeMillis
          const own: Call<In, Out> = { number: calls++, at, inputs, length, answer }
          group.waiting.push(own)
          yield* asked.open
          if (isComplete(group)) yield* complete.open
          return yield* Effect.onInterrupt(Deferred.await(answer), () =>
            Effect.sync(() => {
              group.waiting = group.waiting.filter((call) => call !== own)
            }),
          )
        })

        /** The group of a program, for as long as the scope is open. */
        const join = <In, Out>(digest: string, compile: Group<In, Out>["compile"]) =>
          Effect.acquireRelease(
            Effect.sync((): Group<In, Out> => {
              // Equal graphs have equal signatures.
              const known = groups.get(digest) as Group<In, Out> | undefined
              const group: Group<In, Out> = known ?? {
                compile,
                compiled: new Map(),
                holders: 0,
                limit: most,
                waiting: [],
                took: 0,
                shortage: undefined,
              }
              group.holders += 1
              groups.set(digest, group as Group<unknown, unknown>)
              return group
            }),
            (group) =>
              Effect.suspend(() => {
                group.holders -= 1
                if (group.holders > 0) return isComplete(group) ? complete.open : Effect.void
                groups.delete(digest)
                return device.withPermit(
                  Effect.forEach(group.compiled.values(), ({ close }) => close, { discard: true }),
                )
              }),
          )

        const compile = Effect.fn("Ensembles.compile")(function* <I extends Signature, O extends Signature>(
          program: Program<I, O>,
        ) {
          const digest = traced(() => programModel(program))
          if (Option.isNone(digest)) return yield* engine.compile(program)
          const group = yield* join(digest.value, runProgram(engine, program))
          const executable: Executable<I, O> = {
            run: (inputs) =>
              Effect.andThen(checkValues(program.name, program.inputs, inputs), call(group, inputs, 1)),
          }
          return executable
        })

        const compileScan = Effect.fn("Ensembles.compileScan")(function* <
          C extends Signature,
          X extends Signature,
          K extends Signature,
          Y extends Signature,
        >(scan: Scan<C, X, K, Y>) {
          const digest = traced(() => scanModel(scan))
          if (Option.isNone(digest)) return yield* engine.compileScan(scan)
          const group = yield* join(digest.value, runScan(engine, scan))
          const executable: ScanExecutable<C, X, K, Y> = {
            run: Effect.fnUntraced(function* (inputs) {
              yield* checkValues(scan.name, scan.carry, inputs.carry)
              yield* checkValues(scan.name, scan.constants, inputs.constants)
              return yield* call(group, inputs, yield* scanLength(scan.name, scan.xs, inputs.xs))
            }),
          }
          return executable
        })

        return TensorEngine.of({ ...engine, compile, compileScan })
      }),
    ),
}
