/** All pipelines by name. */
import { type Recomputable, recomputable } from "../services/recomputable.ts"
import { captureGradients } from "../stages/captureGradients.ts"
import { captureSteps } from "../stages/captureSteps.ts"
import { compareDirections } from "../stages/compareDirections.ts"
import { generateData } from "../stages/generateData.ts"
import { intervene } from "../stages/intervene.ts"
import { measureCoupling } from "../stages/measureCoupling.ts"
import { measureNull } from "../stages/measureNull.ts"
import { measurePerExample } from "../stages/measurePerExample.ts"
import { readFeatures } from "../stages/readFeatures.ts"
import { rollingSvd } from "../stages/rollingSvd.ts"
import { train } from "../stages/train.ts"
import { upstreamOf } from "./Claim.ts"
import { claims } from "./claims.ts"
import { isStage } from "./derive.ts"
import { closure, type Node } from "./Node.ts"
import { type Paper, type PaperConfig, paper, paperScale, tabled } from "./paper.ts"
import type { Scale } from "./scale.ts"
import { type SingleConfig, single, targets } from "./single.ts"
import { paper as singlePaper, smoke } from "./sizes.ts"

/** The configuration of `single` at a scale, before `--set`. */
export const configOf = (scale: Scale): SingleConfig => (scale === "paper" ? singlePaper : smoke)

export interface Pipeline {
  readonly name: string
  readonly description: string
  /** Its stages at the paper's scale, upstream first. */
  readonly nodes: () => ReadonlyArray<Node<unknown>>
}

/** The stages of the whole paper, those of the first claims first. */
export const paperNodes = (
  config: PaperConfig,
  whole: Paper = paper(config),
): ReadonlyArray<Node<unknown>> => {
  return closure([...claims(whole).flatMap(upstreamOf), ...tabled(whole)]).filter(isStage)
}

export const pipelines: ReadonlyArray<Pipeline> = [
  {
    name: "single",
    description: "one operation and seed: train, then couple update and gradient directions to the centroids",
    nodes: () => closure(targets(single(singlePaper))),
  },
  {
    name: "reproduce-all",
    description: "the whole paper: every claim with its verdict, by a command of its own",
    nodes: () => paperNodes(paperScale),
  },
]

/** All stages that pipelines are made of, in the order of the paper's method. */
export const stages: ReadonlyArray<Recomputable> = [
  recomputable(generateData),
  recomputable(train),
  recomputable(captureGradients),
  recomputable(captureSteps),
  recomputable(rollingSvd),
  recomputable(measureNull),
  recomputable(measureCoupling),
  recomputable(measurePerExample),
  recomputable(compareDirections),
  recomputable(readFeatures),
  recomputable(intervene),
]

/** The names of all stages. */
export const stageNames = (): ReadonlyArray<string> => stages.map(({ name }) => name)
