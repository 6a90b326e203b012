/**
 * An arm of an intervention brings its matched controls: a random subspace of the same rank, with and without its norm, and
 * attention that does not move at all. They can be waived only with a reason, which is shown beside the result.
 */
import { Schema } from "effect"
import { InterventionConfig } from "../stages/arms.ts"
import { paperScale } from "./paper.ts"

const { arm, version, buffer, window, warmup } = InterventionConfig.fields

/** As a stage's, but that rank 0 is an arm too: nothing is kept, so weight decay alone moves attention. */
export const ArmConfig = Schema.Struct({
  arm,
  version,
  buffer,
  window,
  rank: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })),
  warmup,
})
export type ArmConfig = typeof ArmConfig.Type

const { window: usualWindow, rank: usualRank } = paperScale.interventions

/** An arm that neither window nor rank makes a difference to: one computation, whatever they are. */
const unranked = (config: ArmConfig, arm: InterventionConfig["arm"]): InterventionConfig => ({
  ...config,
  arm,
  version: "gradient",
  buffer: "modified",
  window: usualWindow,
  rank: usualRank,
})

const isKept = (arm: InterventionConfig["arm"]): boolean => arm.startsWith("keep-")

const decodeIntervention = Schema.decodeUnknownResult(InterventionConfig)

/** What an arm's stage is given, or what is wrong with it. */
export const interventionOf = (config: ArmConfig) => {
  const { arm, version, rank } = config
  const keepsNothing = rank === 0 && isKept(arm) && version === "gradient"
  return decodeIntervention(keepsNothing ? unranked(config, "decay-only") : config)
}

/** The controls of an arm by name; none where it is one itself. */
export const controlsOf = (config: ArmConfig): Readonly<Record<string, InterventionConfig>> => {
  const { arm } = config
  const random = (arm: InterventionConfig["arm"]): InterventionConfig => ({
    ...config,
    arm,
    buffer: "modified",
  })
  if (arm === "remove-sed") return { "random subspace": random("remove-random") }
  if (!isKept(arm)) return {}
  // A subspace of no directions is the same, however it is chosen.
  const hasSubspace = config.rank > 0
  return {
    ...(hasSubspace && arm === "keep-sed" ? { "random subspace": random("keep-random") } : {}),
    ...(hasSubspace && arm !== "keep-random-norm-matched"
      ? { "random subspace, natural norm": random("keep-random-norm-matched") }
      : {}),
    frozen: unranked(config, "frozen"),
    "frozen after warm-up": unranked(config, "frozen-after-warmup"),
    "decay only": unranked(config, "decay-only"),
    noise: unranked(config, "noise"),
  }
}
