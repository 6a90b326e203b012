/** Why a stage would be found or computed: its pre-image beside that of the stored record that is most like it. */
import { Option, Schema } from "effect"
import { changesBetween } from "../pipelines/changes.ts"
import { stages } from "../pipelines/registry.ts"
import { scales } from "../pipelines/scale.ts"
import type { Surveyed } from "../pipelines/survey.ts"
import type { StageRecord } from "../services/ArtifactStore.ts"
import { makeNearest } from "../services/nearest.ts"
import type { Foreseen } from "./foresee.ts"

const Change = Schema.Struct({
  /** Dotted path in the stage's input, or `code`, `version`, `formats.N`, `engine.version`. */
  path: Schema.String,
  /** Left out where there is no such field, and where the output of another stage differs. */
  before: Schema.optionalKey(Schema.Unknown),
  after: Schema.optionalKey(Schema.Unknown),
  /** The stage whose output the field is. */
  outputOf: Schema.optionalKey(Schema.String),
})

const Stored = Schema.Struct({
  /** What runs call it, or its stage. */
  label: Schema.String,
  key: Schema.String,
  committedAt: Schema.String,
  /** Fingerprint of the code that computed it. */
  code: Schema.String,
})

const Explained = Schema.Struct({
  label: Schema.String,
  stage: Schema.String,
  /** `found` in the store; `missing` there under its key; `awaiting` others that give it a key. */
  state: Schema.Literals(["found", "missing", "awaiting"]),
  /** Null while it awaits others. */
  key: Schema.NullOr(Schema.String),
  /** Labels of what it awaits. */
  awaits: Schema.Array(Schema.String),
  /** Itself where it is found, else the record of its stage with the fewest changes, of several the newest; null where there is none. */
  nearest: Schema.NullOr(Stored),
  /** From the nearest record to what is asked for, what is awaited left out. */
  changes: Schema.Array(Change),
  /** Why other code's output is used. */
  accepted: Schema.optionalKey(Schema.String),
  /** What computing it is expected to take; null where it is found or nothing like it is stored. */
  seconds: Schema.NullOr(Schema.Finite),
})
export type Explained = typeof Explained.Type

/** What `explain --json` prints. */
export const Explanation = Schema.Struct({
  pipeline: Schema.String,
  scale: Schema.Literals(scales),
  set: Schema.Array(Schema.String),
  store: Schema.String,
  stages: Schema.Array(Explained),
})
export type Explanation = typeof Explanation.Type

const Preimage = Schema.Struct({ code: Schema.String })
const codeOf = ({ preimage }: StageRecord): string =>
  Option.match(Schema.decodeUnknownOption(Preimage)(preimage), {
    onNone: () => "",
    onSome: ({ code }) => code,
  })

const stageOf = new Map(stages.map((stage) => [stage.name, stage]))

/** A stored pre-image beside one that is not known in full, whose input is as the pipeline has it: with its defaults. */
const asWired = (preimage: unknown, stage: string): unknown => {
  const { input, ...code } = Object(preimage)
  const decoded = stageOf.get(stage)?.inputOf(input) ?? Option.none()
  return { ...code, input: Option.getOrElse(decoded, () => input) }
}

/** A function that explains surveyed nodes. */
export const makeExplain = ({ history, forecasts }: Foreseen) => {
  const { labels } = history
  const nearestOf = new Map(
    [...Map.groupBy(history.records, ({ stage }) => stage)].map(([stage, records]) => [
      stage,
      makeNearest(records),
    ]),
  )
  return ({ node, state, parts }: Surveyed): Explained => {
    const { label, stage } = node
    if (state._tag === "Found") {
      const { key, code, provenance } = state.ran
      const { committedAt, accepted } = provenance
      return {
        ...{ label, stage, state: "found", key, awaits: [], changes: [], seconds: null },
        nearest: { label, key, committedAt, code },
        ...(accepted === undefined ? {} : { accepted: accepted.because }),
      }
    }
    const { preimage } = state
    const [nearest] =
      nearestOf.get(stage)?.({ preimage, parts }, ({ key }) => labels.get(key) === label) ?? []
    const isMissing = state._tag === "Missing"
    const before = isMissing ? nearest?.of.preimage : asWired(nearest?.of.preimage, stage)
    const changes = nearest === undefined ? [] : changesBetween(before, preimage, parts)
    return {
      label,
      stage,
      state: isMissing ? "missing" : "awaiting",
      key: isMissing ? state.key : null,
      awaits: isMissing ? [] : state.nodes.map(({ label }) => label),
      nearest:
        nearest === undefined
          ? null
          : {
              label: labels.get(nearest.of.key) ?? stage,
              key: nearest.of.key,
              committedAt: nearest.of.provenance.committedAt,
              code: codeOf(nearest.of),
            },
      changes: changes.map(({ path, before, after, from }) => ({
        path,
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
        ...(from === undefined ? {} : { outputOf: from }),
      })),
      seconds: forecasts.get(node)?.seconds.likely ?? null,
    }
  }
}
