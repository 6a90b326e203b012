/** What the live view shows of a store: what goes on, curves of trainings at work, claims that can be judged already. */
import { Effect, Exit, Layer, Option, Schema } from "effect"
import { evaluateClaim, upstreamOf } from "../pipelines/Claim.ts"
import { claims } from "../pipelines/claims.ts"
import { isStage } from "../pipelines/derive.ts"
import { evaluator } from "../pipelines/Node.ts"
import { paper, paperScale, seedsOf, smokeScale } from "../pipelines/paper.ts"
import { SMOKE_NOTE } from "../pipelines/scale.ts"
import type { Curve, Live } from "../report/html/liveSection.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { type Activity, activity, type Computing } from "../services/activity.ts"
import { Progress } from "../services/Progress.ts"
import { StageRunner } from "../services/StageRunner.ts"

/** Trainings whose curves are shown. */
const MOST_CURVES = 4

const decodeCheckpoint = Schema.decodeUnknownOption(
  Schema.Struct({ step: Schema.Int, evaluation: Schema.Struct({ testAccuracy: Schema.Finite }) }),
)

const curveOf = Effect.fnUntraced(function* ({ label, cursor }: Computing) {
  const { cursor: entriesOf } = yield* ArtifactStore
  const entries = yield* entriesOf(label.split(" ", 1)[0], cursor)
  const points = entries.flatMap((entry) =>
    Option.toArray(decodeCheckpoint(entry)).map(({ step, evaluation }) => ({
      step,
      accuracy: evaluation.testAccuracy,
    })),
  )
  return { label, points } satisfies Curve
})

/** The claims that a run of `reproduce-all` works for; none for other commands. */
const claimsOf = (command: string) => {
  if (!command.startsWith("reproduce-all")) return []
  const config = command.includes("--scale smoke") ? smokeScale : paperScale
  const [, count] = /--seeds (\d+)/.exec(command) ?? []
  return claims(paper(count === undefined ? config : { ...config, seeds: seedsOf(Number(count)) }))
}

const peeking = StageRunner.peeking.pipe(Layer.provideMerge(Progress.silent))

/** The claims of a command all of whose stages are stored. */
const judged = Effect.fnUntraced(function* (command: string) {
  const all = claimsOf(command)
  const resolve = evaluator()
  /** Whether a stage is stored; asked for once, however many claims need it. */
  const found = new Map<unknown, boolean>()
  const isStored = Effect.fnUntraced(function* (node: Parameters<typeof resolve>[0]) {
    const known = found.get(node)
    if (known !== undefined) return known
    const exit = yield* Effect.exit(resolve(node))
    found.set(node, Exit.isSuccess(exit))
    return Exit.isSuccess(exit)
  })
  const rows = yield* Effect.forEach(
    all,
    Effect.fnUntraced(function* (claim) {
      for (const node of upstreamOf(claim).filter(isStage)) {
        if (!(yield* isStored(node))) return []
      }
      return Option.toArray(yield* Effect.option(evaluateClaim(claim, resolve)))
    }),
  )
  return { rows: rows.flat(), of: all.length, note: command.includes("--scale smoke") ? SMOKE_NOTE : "" }
}, Effect.provide(peeking))

const nothing: Live["claims"] = { rows: [], of: 0, note: "" }

/** What is computed of a run changes seldom; asking for everything that is stored takes seconds. */
const progressOf = ({ runs }: Activity): string =>
  JSON.stringify(
    runs.slice(0, 1).map(({ command, computed, found, outcome }) => [command, computed, found, outcome]),
  )

/** A function that looks, and remembers what has not changed since it looked last. */
export const makeLook = (store: string) => {
  let seen = ""
  let latest = nothing
  return Effect.gen(function* () {
    const now = yield* activity
    const trainings = now.working
      .flatMap(({ computing }) => computing)
      .filter(({ label }) => /^(train|intervene)( |$)/.test(label))
    const curves = yield* Effect.forEach(trainings.slice(0, MOST_CURVES), curveOf)
    const progress = progressOf(now)
    if (progress !== seen) {
      const [newest] = now.runs
      latest = newest === undefined ? nothing : yield* judged(newest.command)
      seen = progress
    }
    const live: Live = { store, ...now, curves, claims: latest }
    return live
  })
}
