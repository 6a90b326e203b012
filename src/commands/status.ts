/** `status`: which processes are at work on a store, what they compute, and how the last runs went. */
import { Console, DateTime, Effect, Layer, Option, Schedule, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { Activity, activity } from "../services/activity.ts"
import { Leases } from "../services/Leases.ts"
import { duration } from "../services/progress/duration.ts"
import { descriptions } from "./descriptions.ts"
import { onlyLooking } from "./interruption.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { storeLayer } from "./services.ts"

/** What `--json` prints. */
export const Status = Schema.Struct({ store: Schema.String, ...Activity.fields })

const age = (since: string, now: DateTime.DateTime): string =>
  Option.match(DateTime.make(since), {
    onNone: () => "",
    onSome: (then) => duration((now.epochMilliseconds - then.epochMilliseconds) / 1000),
  })

const render = ({ store, working, runs }: typeof Status.Type, now: DateTime.DateTime): string =>
  [
    working.length === 0 ? `no process is at work on ${store}` : `at work on ${store}:`,
    ...working.flatMap(({ pid, host, command, startedAt, computing }) => [
      `  ${command}  process ${pid} on ${host}, for ${age(startedAt, now)}`,
      ...computing.map(({ label, since }) => `    ${label}  ${age(since, now)}`),
    ]),
    "",
    runs.length === 0 ? "no runs yet" : "last runs:",
    ...runs.flatMap(({ command, startedAt, outcome, found, computed, failed }) => [
      `  ${startedAt}  ${outcome.padEnd(11)}  ${command}  (${computed} computed, ${found} found)`,
      ...failed.map(({ label, because }) => `    ${label}: ${because}`),
    ]),
  ].join("\n")

const watch = Flag.Boolean("watch").pipe(
  Flag.withDescription(
    "Look again every second until Ctrl-C; where output is no terminal, print only what has changed",
  ),
  Flag.withDefault(false),
)

const CLEAR = "\u001b[H\u001b[2J"

const look = Effect.fnUntraced(function* (store: string) {
  return { store, ...(yield* activity) } satisfies typeof Status.Type
})

/** Shows the state of the store again and again; as JSON, a line each. */
const watching = Effect.fn("watching")(function* (options: {
  readonly store: string
  readonly json: boolean
}) {
  const isScreen = process.stdout.isTTY === true && !options.json
  yield* onlyLooking
  let shown = ""
  return yield* Effect.gen(function* () {
    const state = yield* look(options.store)
    const encoded = JSON.stringify(yield* Schema.encodeEffect(Status)(state))
    if (!isScreen && encoded === shown) return
    shown = encoded
    const text = options.json ? encoded : render(state, yield* DateTime.now)
    yield* Console.log(isScreen ? `${CLEAR}${text}\n\nCtrl-C stops looking; runs go on` : text)
  }).pipe(Effect.repeat(Schedule.spaced("1 second")))
})

export const status = Command.make("status", { store, watch, json }, (options) =>
  Effect.gen(function* () {
    if (options.watch) return yield* watching(options)
    const state = yield* look(options.store)
    yield* options.json ? printJson(Status, state) : Console.log(render(state, yield* DateTime.now))
  }).pipe(Effect.provide(Leases.layer("status").pipe(Layer.provideMerge(storeLayer(options))))),
).pipe(
  Command.withDescription(descriptions.status),
  Command.withExamples([
    { command: "pnpm pipeline status", description: "What is being computed now" },
    { command: "pnpm pipeline status --watch", description: "The same, every second" },
  ]),
)
