/** The `pnpm pipeline` command line: composes commands, decides exit codes, nothing else. */
// By name, here and in what is imported below: the packages as a whole take half of the time that help may take.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Struct from "effect/Struct"
import packageJson from "../package.json" with { type: "json" }
import { descriptions } from "./commands/descriptions.ts"
import { boundedInterruption, stopped } from "./commands/interruption.ts"
import { oneLine } from "./commands/oneLine.ts"
import { bucketFiles } from "./services/bucket/bucketFiles.ts"
import { quickFiles } from "./services/store/quickFiles.ts"

/** Where each command is: loaded, with all that it needs, when it is named. */
const commands = {
  list: () => import("./commands/list.ts").then(({ list }) => list),
  run: () => import("./commands/run.ts").then(({ run }) => run),
  plan: () => import("./commands/plan.ts").then(({ plan }) => plan),
  explain: () => import("./commands/explain.ts").then(({ explain }) => explain),
  "reproduce-all": () => import("./commands/reproduceAll.ts").then(({ reproduceAll }) => reproduceAll),
  report: () => import("./commands/report.ts").then(({ report }) => report),
  status: () => import("./commands/status.ts").then(({ status }) => status),
  watch: () => import("./commands/watch.ts").then(({ watch }) => watch),
  show: () => import("./commands/show.ts").then(({ show }) => show),
  diff: () => import("./commands/diff.ts").then(({ diff }) => diff),
  verify: () => import("./commands/verify.ts").then(({ verify }) => verify),
  accept: () => import("./commands/accept.ts").then(({ accept }) => accept),
  gc: () => import("./commands/gc.ts").then(({ gc }) => gc),
  pin: () => import("./commands/pin.ts").then(({ pin }) => pin),
  unpin: () => import("./commands/unpin.ts").then(({ unpin }) => unpin),
  export: () => import("./commands/export.ts").then(({ exportResults }) => exportResults),
  import: () => import("./commands/import.ts").then(({ importResults }) => importResults),
  worker: () => import("./commands/worker.ts").then(({ worker }) => worker),
  doctor: () => import("./commands/doctor.ts").then(({ doctor }) => doctor),
  "setup-engine": () => import("./commands/setupEngine.ts").then(({ setupEngine }) => setupEngine),
  "export-twin": () => import("./commands/exportTwin.ts").then(({ exportTwin }) => exportTwin),
}

/** Flags that need every command whole. */
const flagsOfAll = ["--completions", "--wizard"]

/** A command that is known by name and description alone. */
const named = (name: Name) => Command.make(name).pipe(Command.withDescription(descriptions[name]))

type Name = keyof typeof commands
type Known = Awaited<ReturnType<(typeof commands)[Name]>> | ReturnType<typeof named>

/** All commands: the one that the arguments name is whole. */
const subcommands = (words: ReadonlyArray<string>) => {
  const areAllAsked = words.some((word) => flagsOfAll.includes(word.split("=")[0]))
  const asked = words.find((word) => Object.hasOwn(commands, word))
  return Effect.forEach(
    Struct.keys(commands),
    (name): Effect.Effect<Known> =>
      areAllAsked || name === asked ? Effect.promise<Known>(commands[name]) : Effect.succeed(named(name)),
  )
}

const pipeline = Effect.map(subcommands(process.argv.slice(2)), (subcommands) =>
  Command.make("pipeline").pipe(
    Command.withDescription(
      "grokscope: do gradients, rather than updates, show where a network grows its features?",
    ),
    Command.withSubcommands(subcommands),
  ),
)

const invalidInvocation = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error(`error: ${oneLine(event.errors[0])}`)
      : CliOutput.defaultPresenter.present(event),
})

/** Exit code 2: what was asked for cannot be done as written; nothing was started. */
const asksForTheImpossible = (error: unknown): boolean =>
  error instanceof Error && "_tag" in error && (error._tag === "BadInput" || error._tag === "ShowHelp")

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  return asksForTheImpossible(Cause.squash(exit.cause)) ? 2 : 1
}

/** Says once, on standard error, why the command ends early. */
const report = (cause: Cause.Cause<unknown>) => {
  if (Cause.hasInterruptsOnly(cause)) {
    return Console.error(stopped())
  }
  const error = Cause.squash(cause)
  if (error instanceof Error && "_tag" in error) {
    return error._tag === "ShowHelp" ? Effect.void : Console.error(`error: ${oneLine(error)}`)
  }
  return Console.error(`error: this is a defect of grokscope; please report it\n${Cause.pretty(cause)}`)
}

NodeRuntime.runMain(
  boundedInterruption.pipe(
    Effect.andThen(pipeline),
    Effect.flatMap(Command.run({ version: packageJson.version })),
    Effect.onError(report),
    Effect.scoped,
    Effect.provide(invalidInvocation),
    // Standard output is for results.
    Effect.provideService(References.LogToStderr, true),
    Effect.provide(bucketFiles.pipe(Layer.provideMerge(quickFiles), Layer.provideMerge(NodeServices.layer))),
  ),
  { disableErrorReporting: true, teardown: (exit, onExit) => onExit(exitCode(exit)) },
)
