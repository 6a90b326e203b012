/** The `pnpm pipeline` command line: composes commands, decides exit codes, nothing else. */
// By name: the package as a whole loads clients of databases, half of all that is loaded at the start.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer } from "effect"
import { CliOutput, Command } from "effect/cli"
import packageJson from "../package.json" with { type: "json" }
import { accept } from "./commands/accept.ts"
import { diff } from "./commands/diff.ts"
import { explain } from "./commands/explain.ts"
import { exportResults } from "./commands/export.ts"
import { exportTwin } from "./commands/exportTwin.ts"
import { gc } from "./commands/gc.ts"
import { importResults } from "./commands/import.ts"
import { boundedInterruption, stopped } from "./commands/interruption.ts"
import { list } from "./commands/list.ts"
import { oneLine } from "./commands/oneLine.ts"
import { pin } from "./commands/pin.ts"
import { plan } from "./commands/plan.ts"
import { report as writeReport } from "./commands/report.ts"
import { reproduceAll } from "./commands/reproduceAll.ts"
import { run } from "./commands/run.ts"
import { show } from "./commands/show.ts"
import { status } from "./commands/status.ts"
import { unpin } from "./commands/unpin.ts"
import { verify } from "./commands/verify.ts"
import { watch } from "./commands/watch.ts"
import { quickLookups } from "./services/store/quickLookups.ts"

const pipeline = Command.make("pipeline").pipe(
  Command.withDescription(
    "grokscope: do gradients, rather than updates, show where a network grows its features?",
  ),
  Command.withSubcommands([
    list,
    run,
    plan,
    explain,
    reproduceAll,
    writeReport,
    status,
    watch,
    show,
    diff,
    verify,
    accept,
    gc,
    pin,
    unpin,
    exportResults,
    importResults,
    exportTwin,
  ]),
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
    Effect.andThen(Command.run(pipeline, { version: packageJson.version })),
    Effect.onError(report),
    Effect.scoped,
    Effect.provide(invalidInvocation),
    Effect.provide(quickLookups.pipe(Layer.provideMerge(NodeServices.layer))),
  ),
  { disableErrorReporting: true, teardown: (exit, onExit) => onExit(exitCode(exit)) },
)
