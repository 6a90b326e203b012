/** `reproduce-all`: the whole paper, from data to claims; the table fills in as results arrive. */
import { Console, Effect, Exit, FileSystem, Option, Path, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type Claim, ClaimRow, evaluateClaim, untestedRow } from "../pipelines/Claim.ts"
import { claims } from "../pipelines/claims.ts"
import { evaluator, type Resolve, settle } from "../pipelines/Node.ts"
import { inOrder } from "../pipelines/order.ts"
import { expectations } from "../pipelines/outlook.ts"
import { type PaperConfig, paper, paperScale, seedsOf, smokeScale, tabled } from "../pipelines/paper.ts"
import { paperNodes, stages } from "../pipelines/registry.ts"
import { type Scale, SMOKE_NOTE } from "../pipelines/scale.ts"
import { claimLine, claimsHeader, claimsTable, tally } from "../report/claimsText.ts"
import { gather } from "../report/evidence.ts"
import { isUpToDate } from "../report/manifest.ts"
import { writeReport } from "../report/write.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { Progress } from "../services/Progress.ts"
import { StageRunner } from "../services/StageRunner.ts"
import { BadInput } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { oneLine } from "./oneLine.ts"
import {
  cluster,
  commandOf,
  engine,
  ensemble,
  executor,
  isTolerableUnless,
  json,
  type OnFailure,
  onFailure,
  sbatch,
  sbatchGpu,
  scale,
  stopsAll,
  store,
  threads,
  workers,
  workersFor,
} from "./options.ts"
import { retryDamaged } from "./retryDamaged.ts"
import { requireFit, requireWritable, runnerLayer } from "./services.ts"
import { otlp, watched } from "./telemetry.ts"

const seeds = Flag.Int("seeds").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Seeds of every experiment: the paper's 42, 137 and 2024, then 1, 2, … (default: 3)"),
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))),
  Flag.optional,
)

const out = Flag.String("out").pipe(
  Flag.withMetavar("DIR"),
  Flag.withDescription(
    "Directory of claims, tables and figures (default: artifacts/paper, or artifacts/smoke)",
  ),
  Flag.optional,
)

interface Options extends OnFailure {
  readonly scale: Scale
  readonly seeds: Option.Option<number>
  readonly json: boolean
  readonly out: Option.Option<string>
}

const configOf = ({ scale, seeds }: Options): PaperConfig => {
  const config = scale === "paper" ? paperScale : smokeScale
  return { ...config, seeds: Option.match(seeds, { onNone: () => config.seeds, onSome: seedsOf }) }
}

/** Some stages failed to run: the claims that need them are not tested, everything else is written. */
class ClaimsFailed extends Schema.TaggedError<ClaimsFailed>()("ClaimsFailed", {
  claims: Schema.Array(Schema.String),
}) {
  override get message() {
    return `${this.claims.length} claims could not be tested in full, the reasons are above; run the same command again to try again`
  }
}

/** Whether the table fills in on the terminal where the result goes, too: then it is not printed again. */
const isLive = ({ json }: Options): boolean => !json && process.stderr.isTTY && process.stdout.isTTY

/** A claim's row; one whose stages fail is not tested, and says why. */
const rowOf = Effect.fnUntraced(function* (
  claim: Claim,
  resolve: Resolve,
  options: Options,
  isTolerable: (error: Error) => boolean,
) {
  const progress = yield* Progress
  const judges = options.scale === "paper"
  const evaluated = yield* Effect.result(evaluateClaim(claim, resolve, { leavesOut: isTolerable, judges }))
  if (evaluated._tag === "Failure" && !isTolerable(evaluated.failure))
    return yield* Effect.fail(evaluated.failure)
  const [row, reasons] =
    evaluated._tag === "Success"
      ? [
          evaluated.success,
          (evaluated.success.missing ?? []).map(({ name, because }) => `${name}: ${oneLine(because)}`),
        ]
      : [untestedRow(claim, oneLine(evaluated.failure), judges), [oneLine(evaluated.failure)]]
  const shown = isLive(options) ? [claimLine(row)] : reasons.length > 0 ? [`${claim.id}:`] : []
  const said = [...shown, ...reasons.map((reason) => `  ${reason}`)]
  if (said.length > 0) yield* progress.say(said.join("\n"))
  return { row, failed: reasons.length > 0 }
})

const sideBySide = { concurrency: "unbounded" } as const

/** The claims of the paper, and every stage that they and the tables need, those of the first claims first. */
const planOf = (config: PaperConfig) => {
  const nodes = paper(config)
  return { nodes, list: claims(nodes), tables: tabled(nodes), planned: paperNodes(config, nodes) }
}
type Plan = ReturnType<typeof planOf>

const evaluate = Effect.fnUntraced(function* ({ nodes, list, tables, planned }: Plan, options: Options) {
  const progress = yield* Progress
  const isTolerable = isTolerableUnless(options)
  const expect = yield* expectations
  yield* progress.plan(
    planned.map(({ label }) => label),
    expect(planned),
  )
  // What the first claims need goes first, so rows appear early; all are asked for at once, so no worker is idle.
  const { workers } = yield* StageRunner
  const ordered = inOrder(planned, workers)
  const resolve = evaluator(ordered)
  if (isLive(options)) yield* progress.say(claimsHeader)
  const [, rows] = yield* Effect.all(
    [
      stopsAll(options) ? Effect.void : settle(ordered, resolve),
      Effect.forEach(list, (claim) => rowOf(claim, resolve, options, isTolerable), sideBySide),
      // Tables alone need these; what fails leaves no rows.
      Effect.forEach(
        tables,
        (node) =>
          Effect.catch(resolve(node), (error) =>
            isTolerable(error) ? progress.say(`${node.label}: ${oneLine(error)}`) : Effect.fail(error),
          ),
        sideBySide,
      ),
    ],
    sideBySide,
  )
  return { rows, tables: yield* gather(nodes, resolve) }
})

const decodeClaims = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(ClaimRow)))

/** What a directory holds, if it was made from what is stored, by the code at hand: then there is nothing to do. */
const findWritten = Effect.fnUntraced(function* (
  { planned }: Plan,
  written: { readonly directory: string; readonly evidence: string; readonly code: string },
) {
  const { history } = yield* StageRunner
  const resolve = evaluator(planned)
  for (const node of planned) {
    // The first one that is not stored says enough.
    if (Exit.isFailure(yield* Effect.exit(resolve(node)))) return Option.none()
  }
  const { directory, ...made } = written
  const ran = yield* history
  // What was computed by other code is said where it is used.
  if (ran.some(({ provenance }) => provenance.accepted !== undefined)) return Option.none()
  if (!(yield* isUpToDate(directory, { ...made, history: ran }))) return Option.none()
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const progress = yield* Progress
  const found = yield* Effect.option(
    Effect.flatMap(fs.readFileString(path.join(directory, "claims.json")), decodeClaims),
  )
  if (Option.isNone(found)) return found
  yield* progress.plan(planned.map(({ label }) => label))
  yield* Effect.forEach(planned, ({ label }) => progress.cached(label), { discard: true })
  return found
}, Effect.provide(StageRunner.peeking))

export const reproducePaper = Effect.fn("reproducePaper")(function* (options: Options) {
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const config = configOf(options)
  const directory = path.resolve(Option.getOrElse(options.out, () => `artifacts/${options.scale}`))
  yield* requireWritable
  yield* fs
    .makeDirectory(directory, { recursive: true })
    .pipe(Effect.mapError(({ message }) => new BadInput({ message: `--out ${directory}: ${message}` })))
  const fingerprint = yield* CodeFingerprint
  // All at once: one after another, as stages are first asked for, they would take as long as all look-ups.
  const [code] = yield* Effect.forEach(
    [import.meta.url, ...stages.map(({ module }) => module)],
    fingerprint.of,
    sideBySide,
  )
  const sizes = options.scale === "smoke" ? SMOKE_NOTE : "the paper's sizes"
  const evidence = `${sizes}; seeds ${config.seeds.join(", ")}`
  const plan = planOf(config)
  const print = Effect.fnUntraced(function* (rows: ReadonlyArray<ClaimRow>, shown: boolean) {
    const where = `${evidence}; written to ${path.relative(".", directory)}/`
    yield* options.json
      ? Console.log(JSON.stringify(yield* Schema.encodeEffect(Schema.Array(ClaimRow))(rows), null, 2))
      : Console.log(shown ? `\n${tally(rows)}\n\n${where}` : `\n${claimsTable(rows)}\n\n${where}`)
  })
  const written = yield* findWritten(plan, { directory, evidence, code })
  if (Option.isSome(written)) return yield* print(written.value, false)

  const { rows, tables } = yield* retryDamaged(evaluate(plan, options))
  const measured = rows.map(({ row }) => row)
  yield* writeReport({ directory, evidence, config, tables, claims: measured, code })
  yield* print(measured, isLive(options))
  const failed = rows.filter(({ failed }) => failed).map(({ row }) => row.id)
  if (failed.length > 0) return yield* new ClaimsFailed({ claims: failed })
})

export const reproduceAll = Command.make(
  "reproduce-all",
  {
    scale,
    seeds,
    store,
    out,
    workers,
    engine,
    threads,
    ensemble,
    executor,
    cluster,
    sbatch,
    sbatchGpu,
    otlp,
    ...onFailure,
    json,
  },
  Effect.fn(function* (options) {
    yield* requireFit(options)
    const seeds = Option.match(options.seeds, { onNone: () => "", onSome: (count) => ` --seeds ${count}` })
    const command = `${commandOf("reproduce-all", options)}${seeds}`
    const workers = yield* workersFor("reproduce-all", options)
    return yield* Effect.provide(reproducePaper(options), runnerLayer({ ...options, workers, command })).pipe(
      watched(command, options.otlp),
    )
  }),
).pipe(
  Command.withDescription(descriptions["reproduce-all"]),
  Command.withExamples([
    {
      command: "pnpm pipeline reproduce-all",
      description: "Full size; stop it and start it again at any time",
    },
    { command: "pnpm pipeline reproduce-all --scale smoke", description: "Check that everything works" },
  ]),
)
