/** `plan <pipeline>`: what a run would find and what it would compute, how long that takes and how much room. Computes nothing. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { briefDuration } from "../services/progress/duration.ts"
import { bytesText } from "./byteSize.ts"
import { descriptions } from "./descriptions.ts"
import { foresee } from "./foresee.ts"
import { engine, json, scale, set, store, threads, workers, workersFor } from "./options.ts"
import { Plan, planOf } from "./planned.ts"
import { lookingLayer } from "./services.ts"

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

const groupsText = ({ trainings, interventions, dataSets, analyses }: Plan["groups"]): string =>
  [
    ...(dataSets > 0 ? [plural(dataSets, "data set", "data sets")] : []),
    plural(trainings, "training", "trainings"),
    ...(interventions > 0 ? [plural(interventions, "intervention", "interventions")] : []),
    plural(analyses, "analysis", "analyses"),
  ].join(", ")

const render = (plan: Plan): string => {
  const { pipeline, workers, cached, toRun, atMost, groups, stages, seconds, bytes, withoutHistory } = plan
  const rows = stages.map(({ stage, cached, toRun, seconds, secondsEach }) => [
    stage,
    String(cached),
    String(toRun),
    secondsEach === null ? "" : briefDuration(secondsEach),
    seconds === null ? "" : briefDuration(seconds.likely),
    seconds === null || seconds.low === seconds.high
      ? ""
      : `${briefDuration(seconds.low)} – ${briefDuration(seconds.high)}`,
  ])
  const table = [["stage", "cached", "to run", "each", "total", "range"], ...rows].map(
    ([stage, cached, toRun, each, total, range]) =>
      [
        `  ${stage.padEnd(22)}`,
        ...[cached, toRun].map((cell) => cell.padStart(8)),
        ...[each, total].map((cell) => cell.padStart(13)),
        `   ${range}`,
      ]
        .join("")
        .trimEnd(),
  )
  const known = stages.some(({ seconds }) => seconds !== null)
  const time = known
    ? `, about ${briefDuration(seconds.likely)} (${briefDuration(seconds.low)} – ${briefDuration(seconds.high)})`
    : ""
  return [
    `${pipeline}: ${cached} cached, ${atMost ? "at most " : ""}${toRun} to compute`,
    toRun === 0
      ? `  ${groupsText(groups)}: everything is stored`
      : `  ${atMost ? "at most " : ""}${groupsText(groups)}${time} with ${plural(workers, "worker", "workers")}`,
    ...(toRun === 0 || !known ? [] : [`  the store grows by about ${bytesText(bytes)}`]),
    ...withoutHistory.map((stage) => `  no history for ${stage}: not counted`),
    "",
    ...table,
  ].join("\n")
}

export const plan = Command.make(
  "plan",
  {
    pipeline: Argument.String("pipeline").pipe(Argument.withDescription("Name of a pipeline; see `list`")),
    scale,
    set,
    store,
    workers,
    engine,
    threads,
    json,
  },
  Effect.fn(function* (options) {
    const { pipeline, scale, set, store } = options
    const workers = yield* workersFor(pipeline, options)
    const foreseen = Effect.flatMap(foresee(options), (foreseen) => planOf(foreseen, workers))
    const planned = yield* Effect.provide(foreseen, lookingLayer(options))
    const result: Plan = { pipeline, scale, set, store, ...planned }
    yield* Console.log(
      options.json ? JSON.stringify(yield* Schema.encodeEffect(Plan)(result), null, 2) : render(result),
    )
  }),
).pipe(
  Command.withDescription(descriptions.plan),
  Command.withExamples([
    {
      command: "pnpm pipeline plan single --set train.learningRate=3e-4",
      description: "What another learning rate costs",
    },
    {
      command: "pnpm pipeline plan reproduce-all --workers 8",
      description: "What is left of the whole paper",
    },
  ]),
)
