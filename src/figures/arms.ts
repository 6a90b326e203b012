/** The arms of the intervention (experiment.md §6): which are drawn together, and how. */
import { black, type Style, styleAt } from "./theme.ts"

export const control = "control"

const groups = ["SED and random bases", "attention held or noise", "buffer of natural vectors"] as const
export type ArmGroup = (typeof groups)[number]

const directional = ["remove-sed", "keep-sed", "remove-random", "keep-random", "keep-random-norm-matched"]

/** Arms of the same group share a panel. */
export const armGroup = (arm: string): ArmGroup =>
  arm.includes("natural") ? groups[2] : directional.includes(arm) ? groups[0] : groups[1]

export interface GroupedArms {
  readonly group: ArmGroup
  readonly arms: ReadonlyArray<string>
}

/** The groups that have arms, in their order; the control is in none. */
export const groupArms = (arms: ReadonlyArray<string>): ReadonlyArray<GroupedArms> => {
  const names = [...new Set(arms)].filter((arm) => arm !== control)
  return groups
    .map((group) => ({ group, arms: names.filter((arm) => armGroup(arm) === group) }))
    .filter(({ arms }) => arms.length > 0)
}

/** The style of an arm within its group; the control is black everywhere. */
export const armStyle = (arm: string, group: ReadonlyArray<string>): Style =>
  arm === control ? black : styleAt(group.indexOf(arm))
