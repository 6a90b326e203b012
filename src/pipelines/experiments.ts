/** The experiments that ablations are made of: `single`, coupling while a network groks, and `interventions`, one arm. */
import { Result, Schema, SchemaIssue } from "effect"
import { intervene } from "../stages/intervene.ts"
import { ArmConfig, controlsOf, interventionOf } from "./Arms.ts"
import { RATIO, SPEEDUP, STEPS } from "./Claim.ts"
import { map, ratio, zip } from "./derive.ts"
import { type Experiment, experiment, type Measure } from "./Experiment.ts"
import { type GrokStep, grokStep, speedup } from "./grokStep.ts"
import { naturalFor } from "./interventions.ts"
import { node } from "./Node.ts"
import { paperScale, smokeScale } from "./paper.ts"
import { couplingNode, type Statistic, sizes, summaryOf } from "./quantities.ts"
import type { Scale } from "./scale.ts"
import { hasBlock, type Kind, SingleConfig, single } from "./single.ts"

/** Definitions of grokking, by what ids call them; the first one is the paper's. */
const grokIds = { "": "stopStep", ".first-threshold": "firstThreshold", ".first-half": "firstHalf" } as const

const stepText = (by: GrokStep, { accuracy, count, consecutive }: SingleConfig["train"]["stop"]): string => {
  if (by === "firstHalf") return "first test accuracy ≥ 0.5"
  if (by === "firstThreshold") return `first test accuracy ≥ ${accuracy}`
  return `test accuracy ≥ ${accuracy} seen ${count} times${consecutive ? " in a row" : ""}`
}

const byDefinition = (measure: (suffix: string, by: GrokStep) => Measure): ReadonlyArray<Measure> =>
  Object.entries(grokIds).map(([suffix, by]) => measure(suffix, by))

const singleOf = (scale: Scale): SingleConfig => (scale === "paper" ? paperScale : smokeScale).single

const singleMeasures = (config: SingleConfig, label: string): ReadonlyArray<Measure> => {
  const nodes = single(config, label)
  const of = (kind: Kind, statistic: Statistic) => summaryOf(couplingNode(nodes, kind), statistic)
  const summaries = {
    "": ["peak", "max"],
    ".mean": ["mean", "mean"],
  } as const satisfies Record<string, readonly [Statistic, string]>
  return [
    ...byDefinition((suffix, by) => ({
      id: `grok-step${suffix}`,
      definition: `step of ${stepText(by, config.train.stop)}`,
      unit: STEPS,
      value: grokStep(nodes.run, by),
      beside: {},
    })),
    ...Object.entries(summaries).flatMap(([suffix, [statistic, name]]): ReadonlyArray<Measure> => {
      const over = `${name} over points; ${sizes(config.svd)}`
      const against = (kind: Kind) => ratio(of("gradient", statistic), of(kind, statistic))
      const measureOf = (id: string, definition: string, value: Measure["value"]): Measure => ({
        id: suffix === "" ? id : id.replace(/-peak$/, "") + suffix,
        definition: `${definition}: ${over}`,
        unit: RATIO,
        value,
        beside: {},
      })
      return [
        measureOf("gradient-peak", "R̄ of gradients of the loss", of("gradient", statistic)),
        measureOf("update-peak", "R̄ of updates", of("update", statistic)),
        measureOf("random-logits-peak", "R̄ of gradients of random logits", of("random-logits", statistic)),
        measureOf("gradient-over-update", "R̄ of gradients ÷ that of updates, same run", against("update")),
        measureOf(
          "gradient-over-random-logits",
          "R̄ of gradients ÷ that of gradients of random logits, same run",
          against("random-logits"),
        ),
      ]
    }),
    {
      id: "test-accuracy",
      definition: "test accuracy at the last checkpoint",
      unit: "share",
      value: map(nodes.run, ({ finalTestAccuracy }) => finalTestAccuracy),
      beside: {},
    },
  ]
}

const InterventionsConfig = Schema.Struct({
  ...SingleConfig.fields,
  intervention: ArmConfig.check(
    Schema.makeFilter((config) =>
      Result.match(interventionOf(config), {
        onSuccess: () => true,
        onFailure: ({ issue }) => {
          const [{ path = [], message }] = SchemaIssue.makeFormatterStandardSchemaV1()(issue).issues
          return { path: path.map(String), issue: message }
        },
      }),
    ),
  ),
}).check(hasBlock)
export type InterventionsConfig = typeof InterventionsConfig.Type

const interventionMeasures = (config: InterventionsConfig, label: string): ReadonlyArray<Measure> => {
  const { seed, model, train, block } = config
  const { data, run: natural } = single(config, label)
  const armOf = (intervention: (typeof intervene)["input"]["Type"]["intervention"], name: string) =>
    node(
      intervene,
      { data, model, train, intervention, block, seed, natural: naturalFor(intervention, natural) },
      `${label} ${name}`,
    )
  // The configuration was checked: what it asks for can be run.
  const arm = armOf(Result.getOrThrow(interventionOf(config.intervention)), config.intervention.arm)
  const controls = Object.entries(controlsOf(config.intervention)).map(
    ([name, intervention]) => [name, armOf(intervention, name)] as const,
  )
  const speedupOf = (run: typeof arm, by: GrokStep) => zip(grokStep(natural, by), grokStep(run, by), speedup)
  const besideBy = (read: (run: typeof arm) => Measure["value"]) =>
    Object.fromEntries(controls.map(([name, run]) => [name, read(run)]))
  return [
    ...byDefinition((suffix, by) => ({
      id: `speedup${suffix}`,
      definition: `steps of the natural run ÷ steps of the arm, same seed, to ${stepText(by, train.stop)}`,
      unit: SPEEDUP,
      value: speedupOf(arm, by),
      beside: besideBy((run) => speedupOf(run, by)),
    })),
    ...byDefinition((suffix, by) => ({
      id: `grok-step${suffix}`,
      definition: `step of ${stepText(by, train.stop)}`,
      unit: STEPS,
      value: grokStep(arm, by),
      beside: { natural: grokStep(natural, by), ...besideBy((run) => grokStep(run, by)) },
    })),
    {
      id: "norm-ratio",
      definition: "mean over modified steps of ‖modified‖ ÷ ‖natural‖",
      unit: RATIO,
      value: map(arm, ({ normRatio }) => normRatio),
      beside: besideBy((run) => map(run, ({ normRatio }) => normRatio)),
    },
  ]
}

const keepSed = { arm: "keep-sed", version: "gradient", buffer: "modified" } as const

export const experiments: Readonly<Record<"single" | "interventions", Experiment>> = {
  single: experiment({
    name: "single",
    description: "one operation: train, then couple update and gradient directions to the centroids",
    schema: SingleConfig,
    config: singleOf,
    measures: singleMeasures,
  }),
  interventions: experiment({
    name: "interventions",
    description:
      "one arm: what becomes of grokking where attention moves only in, or out of, some directions",
    schema: InterventionsConfig,
    config: (scale) => {
      const { window, rank, warmup } = (scale === "paper" ? paperScale : smokeScale).interventions
      return { ...singleOf(scale), intervention: { ...keepSed, window, rank, warmup } }
    },
    measures: interventionMeasures,
  }),
}
export type ExperimentName = keyof typeof experiments

/** What each experiment's configuration is. */
export interface ConfigOf {
  readonly single: SingleConfig
  readonly interventions: InterventionsConfig
}
