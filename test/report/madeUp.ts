/** A reproduction without computing: made-up outputs of every stage, and the claims and tables that follow from them. */
import { type ColumnTable, table } from "arquero"
import { Effect } from "effect"
import { evaluateClaim } from "../../src/pipelines/Claim.ts"
import { claims } from "../../src/pipelines/claims.ts"
import { isStage } from "../../src/pipelines/derive.ts"
import { closure, type Node, type Resolve, type StageServices } from "../../src/pipelines/Node.ts"
import { type PaperConfig, paper, smokeScale } from "../../src/pipelines/paper.ts"
import { gather } from "../../src/report/evidence.ts"
import type { ArtifactRef } from "../../src/services/Artifact.ts"
import { putTable } from "../../src/services/artifacts.ts"
import type { StageRunner } from "../../src/services/StageRunner.ts"
import { summarise } from "../../src/stages/measureCoupling.ts"
import { artifact, idle } from "../pipelines/idle.ts"

/** What happened, by the label of the node. */
export interface World {
  /** The step at which a run groks; null: never. */
  readonly grokked: (label: string) => number | null
  /** R̄ at the last point, where it is largest; null where no window has all directions. */
  readonly peak: (label: string) => number | null
  /** ‖projected‖ ÷ ‖natural‖, which is the cosine too. */
  readonly cosine: number
  /** Share of a direction that lies outside of what another batch finds. */
  readonly directionalVariance: number
  /** Labels of stages that fail. */
  readonly fails?: (label: string) => boolean
}

const isUpdate = (label: string) => / update\b/.test(label)
const isNull = (label: string) => /random-logits|permuted-labels/.test(label)
const isControl = (label: string) => /x2_xy_y2|x3_xy|shuffled/.test(label)

/** The world as the paper tells it: gradients of the task couple, others do not, and three directions matter. */
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
    if (isControl(label) || isNull(label)) return 5
    if (/multitask/.test(label)) return /per-op-gradient/.test(label) ? 30 : 0.6
    if (isUpdate(label)) return / add\//.test(label) ? 9 : 3.2
    return 212
  },
  cosine: 0.85,
  directionalVariance: 0.04,
}

/** The world that a sceptic expects: every gradient couples, everywhere, and attention need not move. */
export const asFeared: World = {
  grokked: (label) => (label.startsWith("intervene") ? 1450 : isControl(label) ? null : 3300),
  peak: (label) => (isUpdate(label) ? 15 : 150),
  cosine: 0.3,
  directionalVariance: 0.9,
}

/** The same world with a few per cent of difference between any two labels. */
export const varied = (world: World): World => {
  const factor = (label: string) => {
    let hash = 7
    for (const character of label) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 65_521
    return Math.exp(0.2 * (((hash * 40_503) % 65_521) / 65_521 - 0.5))
  }
  return {
    ...world,
    grokked: (label) => {
      const step = world.grokked(label)
      return step === null ? null : 25 * Math.round((step * factor(label)) / 25)
    },
    peak: (label) => {
      const peak = world.peak(label)
      return peak === null ? null : peak * factor(label)
    },
  }
}

const evaluations = (grokked: number | null, last: number) =>
  table({
    step: [0, last],
    trainAccuracy: [0, 1],
    testAccuracy: [0.01, grokked === null ? 0.02 : 1],
  })

const K = 10
/** Each direction's R in units of R̄ over three. */
const profile = Array.from({ length: K }, (_, k) => 1.2 - 0.2 * Math.min(k, 3))

/** Steps of the measurement points, and R̄ at each in units of the peak: two before grokking, one after it. */
const points = [
  { step: 0, share: 0.4 },
  { step: 1500, share: 0.8 },
  { step: 3300, share: 1 },
]

const pointsWith = (peak: number | null) =>
  points.map(({ step, share }, checkpoint) => ({
    checkpoint,
    step,
    rowCount: 20,
    denominator: 1,
    denominatorIqr: 0.05,
    ratios: peak === null ? [] : profile.map((part) => part * share * peak),
  }))

const meanOf = (ratios: ReadonlyArray<number>, rank: number): number | null =>
  ratios.length < rank ? null : ratios.slice(0, rank).reduce((sum, ratio) => sum + ratio, 0) / rank

const series = (peak: number | null, rank: number) => {
  const measured = pointsWith(peak)
  return table({
    step: measured.map(({ step }) => step),
    rowCount: measured.map(({ rowCount }) => rowCount),
    meanR: measured.map(({ ratios }) => meanOf(ratios, rank)),
    ...Object.fromEntries(
      Array.from({ length: K }, (_, k) => [`R${k + 1}`, measured.map(({ ratios }) => ratios[k] ?? null)]),
    ),
    denominator: measured.map(({ denominator }) => denominator),
    denominatorIqr: measured.map(({ denominatorIqr }) => denominatorIqr),
  })
}

const sigmas = Object.fromEntries(
  Array.from({ length: 10 }, (_, k) => [`sigma${k + 1}`, [1, 2, 3].map((x) => (k > 3 ? null : x / (k + 1)))]),
)

const spectrum = () =>
  table({
    step: points.map(({ step }) => step),
    ...sigmas,
    energyShare1: [0.6, 0.7, 0.8],
    energyShare3: [0.9, 0.92, 0.94],
  })

const BEFORE_STOP = { firstHalf: 600, firstThreshold: 475 }

const outcome = (grokked: number | null) => ({
  firstHalf: grokked === null ? null : grokked - BEFORE_STOP.firstHalf,
  firstThreshold: grokked === null ? null : grokked - BEFORE_STOP.firstThreshold,
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

/** The first step at which the run that something was measured in has generalised. */
const threshold = (node: Node<unknown>, world: World): number => {
  const run = closure([node]).find(({ stage }) => stage === "train")
  const grokked = run === undefined ? null : world.grokked(run.label)
  return grokked === null ? Number.POSITIVE_INFINITY : grokked - BEFORE_STOP.firstThreshold
}

/** K of a coupling: no more than the rows of its window. */
const rankOf = (label: string): number => {
  const [, rows] = / W=(\d+)/.exec(label) ?? []
  return Math.min(3, Number(rows ?? 3))
}

const outputOf = Effect.fnUntraced(function* (
  node: Node<unknown>,
  world: World,
  put: ReturnType<typeof storing>,
) {
  const { stage, label } = node
  switch (stage) {
    case "train":
    case "intervene": {
      const grokked = world.grokked(label)
      const { cosine } = world
      return {
        ...outcome(grokked),
        curve: yield* put(`curve ${grokked}`, () => evaluations(grokked, grokked ?? 8000)),
        normRatio: cosine,
        cosine,
        energyShare: 0.9,
        steps: yield* put(`steps ${cosine}`, () => table({ normRatio: [cosine, cosine, null] })),
      }
    }
    case "measure-coupling": {
      const peak = world.peak(label)
      const rank = rankOf(label)
      const grokked = threshold(node, world)
      const measured = pointsWith(peak)
      return {
        ...summarise(measured, rank, grokked),
        first: summarise(measured, 1, grokked),
        denominatorSpread: 0.05,
        series: yield* put(`series ${peak} ${rank}`, () => series(peak, rank)),
      }
    }
    case "rolling-svd":
      return { spectrum: yield* put("spectrum", spectrum) }
    case "measure-per-example":
      return {
        phases: ["initial", "middle", "last"].map((phase, i) => {
          const meanR = [27, 92, 431][i]
          return { phase, step: 1650 * i, meanR, ratios: [2 * meanR], cosineToMean: [0.1, 0.2, 0.3][i] }
        }),
        spectra: artifact("d"),
      }
    case "compare-directions": {
      const { directionalVariance } = world
      return {
        points: 3,
        meanSquaredCosine: 1 - directionalVariance,
        directionalVariance,
        series: yield* put(`alignment ${directionalVariance}`, () =>
          table({
            step: points.map(({ step }) => step),
            squaredCosine: points.map(() => 1 - directionalVariance),
          }),
        ),
      }
    }
    case "read-features":
      return {
        spectrum: yield* put("components", () =>
          table({ step: [0, 3300], components90: [60, 12], share1: [0.1, 0.4] }),
        ),
        joint: yield* put("joint", () =>
          table({
            step: [0, 0, 3300, 3300],
            pc: [1, 2, 1, 2],
            family: ["a+b", "a+b", "a+b", "a+b"],
            r2: [0.2, null, 0.95, null],
          }),
        ),
        jointLast: { "a+b": 0.95 },
        agreement: { cosine: 0.7, components90: { correctLogit: 12, logitSum: 15 } },
        readOut: artifact("e"),
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

/** Every claim's row; those of a smoke run are not judged. */
export const rowsIn = (world: World, config: PaperConfig) =>
  Effect.gen(function* () {
    const resolve = resolving(world)
    const judges = config !== smokeScale
    return yield* Effect.forEach(claims(paper(config)), (claim) => evaluateClaim(claim, resolve, { judges }))
  }).pipe(Effect.provide(idle()))

/** Every table. */
export const tablesIn = (world: World, config: PaperConfig) =>
  Effect.provide(gather(paper(config), resolving(world)), idle())
