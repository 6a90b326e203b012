/** `verify`: whether everything in a store is what its name says, and what is computed again is what is stored. */
import { Console, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { stageNames, stages } from "../pipelines/registry.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { describeGrade, Grade } from "../services/Grade.ts"
import { Progress } from "../services/Progress.ts"
import { repair } from "../services/repair.ts"
import { inputOf, rerun } from "../services/rerun.ts"
import { verify as verifyStore } from "../services/verify.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { engine, json, store, threads } from "./options.ts"
import { printJson } from "./printJson.ts"
import { requireStore, runnerLayer } from "./services.ts"

/** Something in the store is bad. */
class StoreDamaged extends Schema.TaggedError<StoreDamaged>()("StoreDamaged", {
  store: Schema.String,
  damages: Schema.Int,
}) {
  override get message() {
    return `${this.damages} damages in ${this.store}, listed above; --repair, or another run of the same pipeline, computes anew what is missing`
  }
}

/** Something in the store is bad and stays so. */
class NotRepaired extends Schema.TaggedError<NotRepaired>()("NotRepaired", {
  store: Schema.String,
  refused: Schema.Int,
}) {
  override get message() {
    return `${this.refused} outputs in ${this.store} could not be repaired, the reasons are above`
  }
}

/** What is computed again differs from what is stored. */
class NotReproduced extends Schema.TaggedError<NotReproduced>()("NotReproduced", {
  outputs: Schema.Int,
}) {
  override get message() {
    return `${this.outputs} outputs differ beyond rounding when they are computed again; they are listed above`
  }
}

/** What `--json` prints, with `--repair` what became of the damages too. */
export const Verified = Schema.Struct({
  store: Schema.String,
  blobs: Schema.Int,
  bytes: Schema.Int,
  records: Schema.Int,
  cursors: Schema.Int,
  damages: Schema.Array(Schema.String),
  repaired: Schema.optionalKey(Schema.Array(Schema.String)),
  refused: Schema.optionalKey(Schema.Array(Schema.String)),
})

interface Options {
  readonly store: string
  readonly json: boolean
}

const check = Effect.fnUntraced(function* (options: Options & { readonly repair: boolean }) {
  const progress = yield* Progress
  const found = yield* progress.running("verify", verifyStore)
  const { blobs, bytes, records, cursors, damages } = found
  const repaired = options.repair ? yield* repair(stages) : undefined
  yield* options.json
    ? printJson(Verified, { store: options.store, ...found, ...repaired })
    : Console.log(
        [
          ...damages,
          `${blobs} artifacts (${Math.round(bytes / 1e6)} MB), ${records} records and ${cursors} cursors checked in ${options.store}: ${damages.length === 0 ? "all are what they should be" : `${damages.length} damages`}`,
          ...(repaired?.repaired ?? []).map((name) => `computed anew: ${name}`),
          ...(repaired?.refused ?? []).map((reason) => `not repaired: ${reason}`),
        ].join("\n"),
      )
  if (repaired !== undefined) {
    const refused = repaired.refused.length
    if (refused > 0) return yield* new NotRepaired({ store: options.store, refused })
  } else if (damages.length > 0) {
    return yield* new StoreDamaged({ store: options.store, damages: damages.length })
  }
})

/** What `--rerun --json` prints. */
export const Reruns = Schema.Array(
  Schema.Struct({ stage: Schema.String, key: Schema.String, grade: Grade, text: Schema.String }),
)

/** The records of a stage, or those whose key starts so. */
const recordsOf = Effect.fnUntraced(function* (name: string, directory: string) {
  const { records } = yield* ArtifactStore
  const all = yield* records
  const byKey = /^[0-9a-f]{4,64}$/.test(name)
  const wanted = all.filter(({ stage, key }) => stage === name || (byKey && key.startsWith(name)))
  if (wanted.length > 0) return wanted
  const known = stageNames().includes(name)
  return yield* new BadInput({
    message:
      known || byKey
        ? `--rerun ${name}: ${directory} holds no such results; run a pipeline first`
        : `--rerun: unknown stage ${name}${suggest(name, stageNames())}`,
  })
})

const checkByRerun = Effect.fnUntraced(function* (options: Options, name: string) {
  const graded: Array<(typeof Reruns.Type)[number]> = []
  for (const record of yield* recordsOf(name, options.store)) {
    const stage = stages.find(({ name }) => name === record.stage)
    const input = stage === undefined ? Option.none() : yield* inputOf(stage, record)
    const label = `${record.stage} ${record.key.slice(0, 12)}`
    if (stage === undefined || Option.isNone(input)) {
      yield* Console.error(`${label}: computed by other code or another engine, passed over`)
      continue
    }
    const grade = yield* rerun(stage, record, input.value, label)
    const text = describeGrade(grade)
    graded.push({ stage: record.stage, key: record.key, grade, text })
    if (!options.json) yield* Console.log(`${label}  ${text}`)
  }
  if (options.json) yield* printJson(Reruns, graded)
  const different = graded.filter(({ grade }) => grade._tag === "Statistical").length
  if (different > 0) return yield* new NotReproduced({ outputs: different })
  if (graded.length === 0) {
    return yield* new BadInput({
      message: `--rerun ${name}: nothing in ${options.store} was computed by the present code; run a pipeline first`,
    })
  }
})

export const verify = Command.make(
  "verify",
  {
    rerun: Flag.String("rerun").pipe(
      Flag.withMetavar("STAGE"),
      Flag.withDescription(
        "Compute what a stage has stored again (or the result whose key starts so), beside the store, and say how well it agrees: bitwise, within k ulp, or statistical only",
      ),
      Flag.optional,
    ),
    repair: Flag.Boolean("repair").pipe(
      Flag.withDescription("Compute anew what is bad or missing"),
      Flag.withDefault(false),
    ),
    store,
    engine,
    threads,
    json,
  },
  (options) =>
    Effect.gen(function* () {
      yield* requireStore(options.store)
      if (Option.isNone(options.rerun)) return yield* check(options)
      if (options.repair) {
        return yield* new BadInput({ message: "--rerun and --repair: give one of them" })
      }
      return yield* checkByRerun(options, options.rerun.value)
    }).pipe(Effect.provide(runnerLayer({ ...options, command: "verify", scale: "paper" }))),
).pipe(
  Command.withDescription(descriptions.verify),
  Command.withExamples([
    { command: "pnpm pipeline verify", description: "Check artifacts/store" },
    { command: "pnpm pipeline verify --repair", description: "And compute anew what is bad" },
    { command: "pnpm pipeline verify --rerun train", description: "Train again and compare" },
  ]),
)
