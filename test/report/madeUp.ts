/** A reproduction without computing: made-up outputs of every stage, and the claims and tables that follow from them. */
import { type ColumnTable, table } from "arquero"
import { Effect } from "effect"
import { correct, evaluateClaim } from "../../src/pipelines/Claim.ts"
import { claims } from "../../src/pipelines/claims.ts"
import { isStage } from "../../src/pipelines/derive.ts"
import type { Node, Resolve, StageServices } from "../../src/pipelines/Node.ts"
import { type PaperConfig, paper } from "../../src/pipelines/paper.ts"
import { gather } from "../../src/report/evidence.ts"
import type { ArtifactRef } from "../../src/services/Artifact.ts"
import { putTable } from "../../src/services/artifacts.ts"
import type { StageRunner } from "../../src/services/StageRunner.ts"
import { artifact, idle } from "../pipelines/idle.ts"

/** What happened, by the label of the node. */
export interface World {
  /** The step at which a run groks; null: never. */
  readonly grokked: (label: string) => number | null
  /** Peak of R̄; null where no window has all directions. */
  readonly peak: (label: string) => number | null
  /** How much lower the peak is over full windows. */
  readonly cut: number
  /** ‖projected‖ ÷ ‖natural‖, which is the cosine too. */
  readonly cosine: number
  /** Labels of stages that fail. */
  readonly fails?: (label: string) => boolean
}

const isUpdate = (label: string) => / update\b/.test(label)
const isControl = (label: string) => /x2_xy_y2|x3_xy|shuffled/.test(label)

/** The world as the paper tells it, with nothing where nothing generalises. */
export const asPublished: World = {
  grokked: (label) =>
    isControl(label)
      ? null
      : label.startsWith("intervene")
        ? / keep-(sed|random)\b/.test(label)
          ? 1500
          : /frozen|decay-only|noise/.test(label)
            ? null
            : 3300
        : 3300,
  peak: (label) => {
    if (isControl(label)) return 5
    if (/multitask/.test(label)) return /per-op-gradient/.test(label) ? 30 : 1
    if (isUpdate(label)) return / add\//.test(label) ? 9 : 3.2
    return 212
  },
  cut: 1.25,
  cosine: 0.85,
}

/** The world that a sceptic expects: gradients couple everywhere, and attention need not move. */
export const asFeared: World = {
  grokked: (label) => (label.startsWith("intervene") ? 1450 : isControl(label) ? null : 3300),
  peak: (label) => (isUpdate(label) ? 15 : 150),
  cut: 2,
  cosine: 0.3,
}

const evaluations = (grokked: number | null, last: number) =>
  table({
    step: [0, last],
    trainAccuracy: [0, 1],
    testAccuracy: [0.01, grokked === null ? 0.02 : 1],
  })

/** Three points, the last of them in a cut-off window, which holds the peak. */
const series = (peak: number | null, cut: number) => {
  const ratios = [0.5, 1 / cut, 1].map((share) => (peak === null ? null : peak * share))
  return table({
    step: [0, 1500, 3300],
    fullWindow: [true, true, false],
    meanR: ratios,
    ...Object.fromEntries(Array.from({ length: 10 }, (_, k) => [`R${k + 1}`, ratios])),
    denominator: [1, 1, 1],
    denominatorIqr: [0.05, 0.05, 0.05],
  })
}

const sigmas = Object.fromEntries(
  Array.from({ length: 10 }, (_, k) => [
    `sigma${k + 1}`,
    [1, 2, 3, 4].map((x) => (k > 3 ? null : x / (k + 1))),
  ]),
)

const spectrum = () =>
  table({
    step: [0, 1000, 2000, 3000],
    fullWindow: [true, true, true, false],
    ...sigmas,
    energyShare3: [0.9, 0.9, 0.9, 0.9],
  })

const outcome = (grokked: number | null) => ({
  firstHalf: grokked === null ? null : grokked - 600,
  firstThreshold: grokked === null ? null : grokked - 475,
  stopStep: grokked,
  finalTrainAccuracy: 1,
  finalTestAccuracy: grokked === null ? 0.02 : 1,
})

/** Stores tables, those that are called the same once. */
const storing = () => {
  const stored = new Map<string, ArtifactRef>()
  return Effect.fnUntraced(function* (name: string, rows: () => ColumnTable) {
    const ref = stored.get(name) ?? (yield* putTable(rows()))
    stored.set(name, ref)
    return ref
  })
}

const outputOf = Effect.fnUntraced(function* (
  { stage, label }: Node<unknown>,
  world: World,
  put: ReturnType<typeof storing>,
) {
  switch (stage) {
    case "train":
    case "intervene": {
      const grokked = world.grokked(label)
      return {
        ...outcome(grokked),
        curve: yield* put(`curve ${grokked}`, () => evaluations(grokked, grokked ?? 8000)),
        normRatio: world.cosine,
        cosine: world.cosine,
        energyShare: 0.9,
      }
    }
    case "measure-coupling": {
      const peak = world.peak(label)
      const all = { peak }
      const fullWindows = { peak: peak === null ? null : peak / world.cut }
      const stored = yield* put(`series ${peak}`, () => series(peak, world.cut))
      return { all, fullWindows, first: { all, fullWindows }, series: stored }
    }
    case "rolling-svd":
      return { spectrum: yield* put("spectrum", spectrum) }
    case "measure-per-example":
      return {
        phases: ["initial", "middle", "last"].map((phase, i) => {
          const meanR = [27, 92, 431][i]
          return { phase, step: 1650 * i, meanR, ratios: [2 * meanR] }
        }),
        spectra: artifact("d"),
      }
    case "compare-directions":
      return { all: { directionalVariance: 0.4 } }
    case "read-features":
      return {
        spectrum: yield* put("components", () =>
          table({ step: [0, 3300], components90: [60, 12], share1: [0.1, 0.4] }),
        ),
        harmonics: yield* put("harmonics", () =>
          table({
            step: [3300, 3300, 3300, 3300],
            pc: [1, 1, 2, 2],
            family: ["a+b", "a+b", "a+b", "a+b"],
            frequency: [1, 2, 1, 2],
            // The second component's scores are constant.
            r2: [0.1, 0.8, null, null],
          }),
        ),
      }
    default:
      return {}
  }
})

/** Answers for the nodes of a paper in this world. */
export const resolving = (world: World): Resolve => {
  const known = new Map<Node<unknown>, unknown>()
  const put = storing()
  const resolve: Resolve = <Output>(node: Node<Output>) => {
    if (!isStage(node)) return node.run(resolve)
    if (world.fails?.(node.label)) return Effect.fail(new Error(`${node.label} failed`))
    const answer: Effect.Effect<unknown, Error, StageServices | StageRunner> = Effect.gen(function* () {
      if (!known.has(node)) known.set(node, yield* outputOf(node, world, put))
      return known.get(node)
    })
    // What is made up for a stage is that stage's output, as far as it is read.
    return answer as ReturnType<Node<Output>["run"]>
  }
  return resolve
}

/** Every claim's row. */
export const rowsIn = (world: World, config: PaperConfig) =>
  Effect.gen(function* () {
    const resolve = resolving(world)
    return correct(yield* Effect.forEach(claims(paper(config)), (claim) => evaluateClaim(claim, resolve)))
  }).pipe(Effect.provide(idle()))

/** Every table. */
export const tablesIn = (world: World, config: PaperConfig) =>
  Effect.provide(gather(paper(config), resolving(world)), idle())
