/** `explain <stage>`: why a run would find it or compute it, field by field. Computes nothing. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { briefDuration } from "../services/progress/duration.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { type Explained, Explanation, makeExplain } from "./explained.ts"
import { foresee } from "./foresee.ts"
import { engine, json, scale, set, store } from "./options.ts"
import { lookingLayer } from "./services.ts"

const DIGEST = /^[0-9a-f]{64}$/

/** A value as text; a digest by its first digits. */
const valueText = (value: unknown): string => {
  if (value === undefined) return "(none)"
  return typeof value === "string" && DIGEST.test(value) ? `${value.slice(0, 8)}…` : JSON.stringify(value)
}

const changeText = ({ path, before, after, outputOf }: Explained["changes"][number]): string =>
  outputOf === undefined
    ? `${path}: ${valueText(before)} → ${valueText(after)}`
    : `${path} (output of ${outputOf}) differs`

/** What the first line says of a stage. */
const verdict = ({ state, seconds, nearest }: Explained): string => {
  if (state === "found") return "cached"
  const cost =
    seconds !== null ? `, about ${briefDuration(seconds)}` : nearest === null ? "" : ", time unknown"
  return state === "missing" ? `to compute${cost}` : `probably to compute${cost}`
}

const reasons = (explained: Explained, store: string): ReadonlyArray<string> => {
  const { state, awaits, nearest, changes, stage, accepted } = explained
  if (nearest === null) return [`never computed in ${store}: there is no output of ${stage}`]
  if (state === "found") {
    return [
      `key ${nearest.key.slice(0, 12)}, computed ${nearest.committedAt} by code ${nearest.code.slice(0, 8)}…`,
      ...(accepted === undefined ? [] : [`computed by other code, accepted because ${accepted}`]),
    ]
  }
  const nothing =
    state === "awaiting"
      ? "nothing else differs"
      : "nothing differs: its record, or something that it leads to, is damaged or missing"
  return [
    `nearest: ${nearest.label} ${nearest.key.slice(0, 12)}, computed ${nearest.committedAt}`,
    ...(changes.length === 0 ? [nothing] : changes.map(changeText)),
    ...(changes.every(({ path }) => path === "code") && changes.length > 0
      ? [`if that changes no result: pnpm pipeline accept ${stage} --because REASON`]
      : []),
    ...(awaits.length === 0
      ? []
      : [`awaits ${awaits.join(", ")}: not stored yet, found after all if nothing new comes from there`]),
  ]
}

const render = ({ stages, store }: Explanation): string =>
  stages
    .map((explained) =>
      [
        `${explained.label}: ${verdict(explained)}`,
        ...reasons(explained, store).map((line) => `  ${line}`),
      ].join("\n"),
    )
    .join("\n")

export const explain = Command.make(
  "explain",
  {
    stage: Argument.String("stage").pipe(
      Argument.withDescription("A stage's name, or the start of the label that `list` shows"),
    ),
    pipeline: Flag.String("pipeline").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The pipeline that it is part of; see `list`"),
      Flag.withDefault("single"),
    ),
    scale,
    set,
    store,
    engine,
    json,
  },
  (options) =>
    Effect.gen(function* () {
      const { stage, pipeline, scale, set, store } = options
      const foreseen = yield* foresee(options)
      const { surveyed } = foreseen
      const chosen = surveyed.filter(({ node }) => node.label.startsWith(stage))
      if (chosen.length === 0) {
        const names = [...new Set(surveyed.flatMap(({ node }) => [node.stage, node.label]))]
        return yield* new BadInput({
          message: `${pipeline} has no stage called ${stage}${suggest(stage, names)}`,
        })
      }
      const explanation: Explanation = {
        ...{ pipeline, scale, set, store },
        stages: chosen.map(makeExplain(foreseen)),
      }
      yield* Console.log(
        options.json
          ? JSON.stringify(yield* Schema.encodeEffect(Explanation)(explanation), null, 2)
          : render(explanation),
      )
    }).pipe(Effect.provide(lookingLayer(options))),
).pipe(
  Command.withDescription(descriptions.explain),
  Command.withExamples([
    {
      command: "pnpm pipeline explain train --set train.learningRate=3e-4",
      description: "Why this training is not stored, and what is nearest",
    },
    {
      command: "pnpm pipeline explain measure --pipeline reproduce-all",
      description: "All measurements of the paper",
    },
  ]),
)
