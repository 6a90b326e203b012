/**
 * Who computes what: of several processes that want one thing of a store, one computes it and the others wait.
 *
 *     processes/<process>.json       a process at work on the store, written anew every 3 s: its heartbeat
 *     leases/<name>.<process>.json   what it holds
 *
 * A lease is taken by writing one's own file and then looking for others: of two who do that at the same time at least one
 * sees the other, and withdraws. So it takes no lock, no hard link and no exclusive creation of the file system. Nothing
 * wrong is ever stored for want of a lease, for keys name content: it only saves work.
 *
 * A holder lives as long as its process: where it can be looked up (same boot, same process namespace), by process number
 * and start time; elsewhere as long as its heartbeat is seen to change.
 */
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import {
  Array as Arr,
  Clock,
  Context,
  DateTime,
  Effect,
  FileSystem,
  Layer,
  Option,
  Path,
  Random,
  Schema,
  Scope,
} from "effect"
import { ArtifactStore, StoreFailure } from "./ArtifactStore.ts"
import { commitFile, makeDirectories } from "./store/files.ts"
import { sealed, unsealed } from "./store/sealed.ts"

const HEARTBEAT = 3_000
/** A heartbeat that does not change for so long has stopped. */
const PATIENCE = 12_000
/** So many processes look at each other's heartbeats all the time, so that they know at once who has stopped. */
const FEW = 64
/** One whose file is older than this when it is first seen has stopped too, however far clocks are apart. */
const LONG_AGO = 3_600_000
/** The sign of one that has stopped stays for so long, unless it is known to be dead: it may be suspended. */
const FORGOTTEN = 86_400_000

/** A process at work on a store. */
export const WorkingProcess = Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  /** What it was started as. */
  command: Schema.String,
  startedAt: Schema.String,
  /** Boot of its machine, its process namespace, and the clock tick of that boot at which it started; null where unknown. */
  boot: Schema.NullOr(Schema.String),
  namespace: Schema.NullOr(Schema.String),
  startTick: Schema.NullOr(Schema.String),
  /** Counts its heartbeats. */
  beats: Schema.Int,
})
export type WorkingProcess = typeof WorkingProcess.Type

/** What a lease says beside the name of its file. */
export const LeaseFile = Schema.Struct({ label: Schema.String, since: Schema.String })

/** A lease in force. */
export interface Lease {
  readonly name: string
  readonly label: string
  readonly since: string
  readonly holder: WorkingProcess
}

export class Leases extends Context.Service<
  Leases,
  {
    /** Takes the lease `name` until the scope closes, unless a living process has it: then that lease is returned. */
    readonly take: (
      name: string,
      label: string,
    ) => Effect.Effect<Option.Option<Lease>, StoreFailure, Scope.Scope>
    /** Makes this process known, if it was not yet, and returns the name of its sign. */
    readonly introduce: Effect.Effect<string, StoreFailure>
    /** What the sign of a process says here: nothing, for it has none in this store; or whether the process lives. Changes nothing. */
    readonly sees: (sign: string) => Effect.Effect<"nothing" | "dead" | "living", StoreFailure>
    /** The lease `name` of another living process, if there is one. Changes nothing. */
    readonly holder: (name: string) => Effect.Effect<Option.Option<Lease>, StoreFailure>
    /** The living processes on the store. Changes nothing. */
    readonly processes: Effect.Effect<ReadonlyArray<WorkingProcess>, StoreFailure>
    /** The same by the names of their files. */
    readonly living: Effect.Effect<ReadonlyMap<string, WorkingProcess>, StoreFailure>
    /** Names of the signs of processes that live, or may be suspended. Changes nothing. */
    readonly remembered: Effect.Effect<ReadonlySet<string>, StoreFailure>
    /** The leases of living processes. Changes nothing. */
    readonly held: Effect.Effect<ReadonlyArray<Lease>, StoreFailure>
  }
>()("grokscope/services/Leases") {
  static readonly layer = (command: string) =>
    Layer.effect(
      Leases,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const { root } = yield* ArtifactStore
        const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
        const scope = yield* Effect.scope
        const leases = path.join(root, "leases")
        const processes = path.join(root, "processes")
        const self = randomUUID()

        const attempt = (operation: string, target: string) =>
          Effect.mapError((cause: unknown) => new StoreFailure({ operation, path: target, cause }))
        const list = (directory: string) =>
          fs.readDirectory(directory).pipe(
            Effect.map((names) => names.filter((name) => !name.startsWith(".") && name.endsWith(".json"))),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
            attempt("list", directory),
          )
        const remove = (target: string) => fs.remove(target, { force: true }).pipe(attempt("delete", target))
        const readText = (target: string) => Effect.option(fs.readFileString(target))
        const read = <S extends Schema.ConstraintCodec<unknown, unknown>>(target: string, codec: S) =>
          Effect.map(readText(target), (text) =>
            text.pipe(Option.flatMap(unsealed), Option.flatMap(Schema.decodeUnknownOption(codec))),
          )

        /** The tick at which a process of this machine started; none if there is none. Linux only. */
        const startTickOf = (pid: number) =>
          Effect.map(readText(`/proc/${pid}/stat`), (text) =>
            // The name of the program, in parentheses, may hold spaces.
            Option.flatMapNullishOr(text, (line) => line.slice(line.lastIndexOf(")") + 2).split(" ")[19]),
          )
        const boot = Option.getOrNull(yield* readText("/proc/sys/kernel/random/boot_id"))
        const namespace = Option.getOrNull(yield* Effect.option(fs.readLink("/proc/self/ns/pid")))
        const me: Omit<WorkingProcess, "beats"> = {
          pid: process.pid,
          host: hostname(),
          command,
          startedAt: DateTime.formatIso(yield* DateTime.now),
          boot,
          namespace,
          startTick: Option.getOrNull(yield* startTickOf(process.pid)),
        }

        /** Milliseconds since a process wrote its sign, as far as the clock of the file system agrees with ours. */
        const ageOf = Effect.fnUntraced(function* (id: string) {
          const info = yield* Effect.option(fs.stat(path.join(processes, `${id}.json`)))
          const written = Option.flatMap(info, ({ mtime }) => mtime)
          const now = yield* Clock.currentTimeMillis
          return Option.match(written, { onNone: () => 0, onSome: (time) => now - time.getTime() })
        })
        /** When a heartbeat of another machine was first seen as it is now. */
        const seen = new Map<string, { readonly beats: number; readonly at: number }>()
        const beatsStill = Effect.fnUntraced(function* (id: string, { beats }: WorkingProcess) {
          const now = yield* Clock.currentTimeMillis
          const before = seen.get(id)
          if (before?.beats === beats) return now - before.at < PATIENCE
          const isOld = (yield* ageOf(id)) > LONG_AGO
          seen.set(id, { beats, at: isOld ? Number.NEGATIVE_INFINITY : now })
          return !isOld
        })
        /** Whether a process can be looked up. */
        const isHere = (other: WorkingProcess): boolean =>
          other.startTick !== null &&
          other.boot !== null &&
          other.boot === boot &&
          other.namespace === namespace
        const lives = (id: string, other: WorkingProcess) =>
          isHere(other)
            ? Effect.map(startTickOf(other.pid), (tick) => Option.contains(tick, other.startTick))
            : beatsStill(id, other)
        const signOf = (id: string) => read(path.join(processes, `${id}.json`), WorkingProcess)
        /** The process of an id, if it lives. */
        const living = Effect.fnUntraced(function* (id: string) {
          const other = yield* signOf(id)
          return Option.isSome(other) && (yield* lives(id, other.value))
            ? other
            : Option.none<WorkingProcess>()
        })

        /** Of processes that have signs. */
        const ids = Effect.map(list(processes), (names) => names.map((name) => path.basename(name, ".json")))
        const watch = Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          const hasStopped = (id: string) => now - (seen.get(id)?.at ?? now) >= PATIENCE
          const others = (yield* ids).filter((id) => !hasStopped(id))
          if (others.length <= FEW) yield* Effect.forEach(others, living, { discard: true })
        })

        /** Whether the sign of a process tells nobody anything any more. */
        const isForgotten = Effect.fnUntraced(function* (id: string) {
          if (Option.isSome(yield* living(id))) return false
          const isElsewhere = Option.exists(yield* signOf(id), (other) => !isHere(other))
          return !isElsewhere || (yield* ageOf(id)) > FORGOTTEN
        })

        /** Makes this process known, and forgets dead ones; once, when it first takes a lease. */
        const introduced = yield* Effect.cached(
          Effect.gen(function* () {
            const file = path.join(processes, `${self}.json`)
            const beat = (beats: number) =>
              commitFile(file, new TextEncoder().encode(sealed({ ...me, beats }))).pipe(
                Effect.provideContext(services),
                attempt("write", file),
              )
            // First: a file that is only half committed is to go, too.
            yield* Effect.addFinalizer(() => Effect.ignore(remove(file)))
            yield* Effect.uninterruptible(beat(0))
            let beats = 0
            yield* Effect.suspend(() => beat(++beats)).pipe(
              Effect.andThen(watch),
              Effect.ignore,
              Effect.delay(HEARTBEAT),
              Effect.forever,
              Effect.forkScoped,
            )
            yield* makeDirectories(leases).pipe(Effect.provideContext(services), attempt("write", leases))
            for (const id of yield* ids) {
              if (yield* isForgotten(id)) yield* remove(path.join(processes, `${id}.json`))
            }
          }).pipe(Scope.provide(scope)),
        )

        /** The leases of others that live; `dead` is done with the files of those that do not. */
        const leasesOf = Effect.fnUntraced(function* (
          isWanted: (name: string) => boolean,
          dead: (file: string) => Effect.Effect<void, StoreFailure>,
        ) {
          const found: Array<Lease> = []
          for (const file of yield* list(leases)) {
            const [name, id] = file.split(".")
            if (id === self || !isWanted(name)) continue
            const target = path.join(leases, file)
            const holder = yield* living(id)
            if (Option.isNone(holder)) {
              yield* dead(target)
              continue
            }
            const lease = Option.getOrElse(yield* read(target, LeaseFile), () => ({ label: name, since: "" }))
            found.push({ name, holder: holder.value, ...lease })
          }
          return found
        })

        const ofName = (name: string) => (other: string) => other === name
        const take = (
          name: string,
          label: string,
        ): Effect.Effect<Option.Option<Lease>, StoreFailure, Scope.Scope> =>
          Effect.gen(function* () {
            yield* introduced
            const [holder] = yield* leasesOf(ofName(name), remove)
            if (holder !== undefined) return Option.some(holder)
            const file = path.join(leases, `${name}.${self}.json`)
            const since = DateTime.formatIso(yield* DateTime.now)
            yield* Effect.addFinalizer(() => Effect.ignore(remove(file)))
            yield* fs
              .writeFileString(file, sealed({ label, since }))
              .pipe(attempt("write", file), Effect.uninterruptible)
            const [rival] = yield* leasesOf(ofName(name), remove)
            if (rival === undefined) return Option.none()
            yield* remove(file)
            yield* Effect.sleep(yield* Random.nextBetween(10, 100))
            return yield* take(name, label)
          })

        const allLiving = Effect.gen(function* () {
          const found = new Map<string, WorkingProcess>()
          for (const id of yield* ids) {
            for (const process of Option.toArray(yield* living(id))) found.set(id, process)
          }
          return found
        })

        const leave = () => Effect.void
        return Leases.of({
          take,
          introduce: Effect.as(introduced, self),
          sees: Effect.fnUntraced(function* (sign) {
            const file = path.join(processes, `${sign}.json`)
            // That it cannot be read says nothing of the process.
            const text = yield* fs.readFileString(file).pipe(
              Effect.asSome,
              Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
              attempt("read", file),
            )
            if (Option.isNone(text)) return "nothing"
            return Option.isSome(yield* living(sign)) ? "living" : "dead"
          }),
          processes: Effect.map(allLiving, (found) => [...found.values()]),
          living: allLiving,
          remembered: Effect.gen(function* () {
            const isKept = (id: string) => Effect.map(isForgotten(id), (is) => !is)
            return new Set(yield* Effect.filter(yield* ids, isKept))
          }),
          holder: (name) => Effect.map(leasesOf(ofName(name), leave), Arr.head),
          held: leasesOf(() => true, leave),
        })
      }),
    )
}
