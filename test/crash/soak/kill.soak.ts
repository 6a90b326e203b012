import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Clock, Console, Effect, Option, Schema } from "effect"
import * as fc from "fast-check"
import { LeaseFile } from "../../../src/services/Leases.ts"
import { unsealed } from "../../../src/services/store/sealed.ts"
import { cli, start } from "../../commands/process.ts"
import { filesBelow, temporaryDirectory } from "../../services/store/temporary.ts"
import { differing, isQuarantineEmpty, objectsOf, recordsOf, reportIn } from "../stores.ts"
import { runPart, tally } from "./figures.ts"
import { seed, shareOf } from "./settings.ts"

const KILLS = 200
/** Kills of one run before it is left to its end; the last ones hit a run that has only its report to write. */
const PER_RUN = { working: 20, reporting: 5 }

const reproduce = (store: string, out: string) => [
  ...["reproduce-all", "--scale", "smoke", "--workers", "2", "--store", store, "--out", out],
]

/** A process is killed `after` milliseconds, counted from its start or from the beginning of its report. */
interface Moment {
  readonly from: "start" | "report"
  readonly after: number
}

/** Whether a process that started at `since` has begun to write its report, of which it writes what is not there yet. */
const isReporting = (out: string, since: number): boolean =>
  ["", "tables", "figures"]
    .map((part) => statSync(join(out, part), { throwIfNoEntry: false }))
    .some((stats) => stats !== undefined && stats.mtimeMs > since)

const emptied = (directory: string) => {
  rmSync(directory, { recursive: true })
  mkdirSync(directory)
}

const decodeLease = Schema.decodeUnknownOption(LeaseFile)

/** What the process was at when it was killed. */
const whereabouts = (store: string, out: string, since: number, runs: number): ReadonlyArray<string> => {
  if (isReporting(out, since)) return ["report"]
  const leases = join(store, "leases")
  const held = (existsSync(leases) ? filesBelow(leases) : [])
    .map((file) => unsealed(readFileSync(join(leases, file), "utf8")))
    .flatMap((content) => Option.toArray(Option.flatMap(content, decodeLease)))
  if (held.length > 0) return held.map(({ label }) => label.split(" ")[0])
  const begun = existsSync(join(store, "runs")) ? readdirSync(join(store, "runs")).length : 0
  return [begun > runs ? "between stages" : "start-up"]
}

/** Runs the command until `moment`. Says what it was at then; nothing if it had ended. */
const killAt = Effect.fn("killAt")(function* (store: string, out: string, moment: Moment) {
  const runs = existsSync(join(store, "runs")) ? readdirSync(join(store, "runs")).length : 0
  const since = yield* Clock.currentTimeMillis
  const child = yield* start(reproduce(store, out))
  let from = moment.from === "start" ? since : Number.POSITIVE_INFINITY
  while (yield* child.isRunning) {
    const now = yield* Clock.currentTimeMillis
    if (from > now && isReporting(out, since)) from = now
    if (now - from >= moment.after) break
    yield* Effect.sleep(2)
  }
  yield* child.kill("SIGKILL")
  const { code, signal, stderr } = yield* child.finished
  if (signal === "SIGKILL") return Option.some(whereabouts(store, out, since, runs))
  assert.strictEqual(code, 0, stderr)
  return Option.none<ReadonlyArray<string>>()
}, Effect.scoped)

/** An uninterrupted run, what it takes and what its report takes. */
const uninterrupted = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const [store, out] = [join(directory, "store"), join(directory, "out")]
  mkdirSync(out)
  const began = yield* Clock.currentTimeMillis
  const { code, stderr } = yield* cli(reproduce(store, out))
  assert.strictEqual(code, 0, stderr)
  const ended = yield* Clock.currentTimeMillis
  const reporting = ended - statSync(join(out, "tables")).birthtimeMs
  return {
    records: recordsOf(store),
    objects: objectsOf(store),
    report: reportIn(out),
    total: ended - began,
    reporting,
  }
})

const nameOf = (path: string): string | undefined => path.split("/").at(-1)

it.live("reproduce-all may be killed at any moment", () =>
  runPart(
    "kill",
    Effect.gen(function* () {
      const expected = yield* uninterrupted
      yield* Console.log(
        `kill: uninterrupted in ${Math.round(expected.total / 1000)} s, of which ${Math.round(expected.reporting / 1000)} s for the report`,
      )
      const total = shareOf(KILLS, 5)
      /** Shares of a time. */
      const draws = fc.sample(fc.double({ min: 0, max: 1, noNaN: true }), { seed, numRuns: 4 * total })
      const draw = () => draws.pop() ?? 0.5
      const killed: Array<string> = []
      let kills = 0
      let runs = 0
      let superfluous = 0

      /** The same command once more, to its end: nothing differs from the uninterrupted run, nothing is damaged. */
      const finish = Effect.fnUntraced(function* (store: string, out: string) {
        const { code, stderr } = yield* cli(reproduce(store, out))
        const where = `run ${runs + 1}, seed ${seed}`
        assert.strictEqual(code, 0, `${where}: ${stderr}`)
        assert.deepStrictEqual(differing(reportIn(out), expected.report), [], where)
        assert.deepStrictEqual(recordsOf(store), expected.records, where)
        const objects = objectsOf(store).map(nameOf)
        assert.includeMembers(objects, expected.objects.map(nameOf), where)
        const verified = yield* cli(["verify", "--store", store])
        assert.strictEqual(verified.code, 0, `${where}: ${verified.stdout}`)
        assert.isTrue(isQuarantineEmpty(store), where)
        superfluous += objects.length - expected.objects.length
        return stderr
      })

      while (kills < total) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const directory = yield* temporaryDirectory
            const [store, out] = [join(directory, "store"), join(directory, "out")]
            mkdirSync(out)
            /** Kills once; false if the command came to its end before. */
            const strike = Effect.fnUntraced(function* (from: Moment["from"], span: number) {
              const at = yield* killAt(store, out, { from, after: draw() * span })
              if (Option.isNone(at)) return false
              killed.push(...at.value)
              kills++
              return true
            })
            const last = Math.min(total - 1, kills + PER_RUN.working)
            while (kills < last && (yield* strike("start", expected.total / 8))) {}
            yield* finish(store, out)
            emptied(out)
            for (let i = 0; i < PER_RUN.reporting && kills < total; i++) {
              // What a killed report has written stays, and the next one goes on from there.
              if (!(yield* strike("report", expected.reporting))) emptied(out)
            }
            // Whatever happened to the report, there is nothing left to compute.
            assert.match(yield* finish(store, out), /done 0, cached \d+/)
            runs++
          }),
        )
        yield* Console.log(`kill: ${kills} of ${total}, ${runs} runs`)
      }
      return {
        summary: `${runs} runs of reproduce-all at smoke scale were killed ${kills} times and ended, by the same command alone, with the bits of an uninterrupted one`,
        figures: { kills, runs, at: tally(killed), superfluousBlobs: superfluous },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
