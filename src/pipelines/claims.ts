/**
 * Every quantitative claim of the paper, what measures it, and the rules that judge it (`verdicts.ts`): the statements of the
 * abstract first, then the details. Ids and published numbers are those of experiment.md §7; `null` and `definition` are ours.
 *
 * Coupling values follow the published code: windows placed as published, ε = 0.005, one draw for all seeds, peak over the
 * run. Time means, means before and after grokking and backward windows stand beside them. Speed-ups are steps to the stop
 * rule; the other two definitions stand beside them.
 */

import { attackClaims } from "./attackClaims.ts"
import type { Claim } from "./Claim.ts"
import { headlineClaims } from "./headlineClaims.ts"
import { interventionClaims } from "./interventionClaims.ts"
import { multitaskClaims } from "./multitaskClaims.ts"
import type { Paper } from "./paper.ts"
import { robustnessClaims } from "./robustnessClaims.ts"
import { singleClaims } from "./singleClaims.ts"
import { sweepClaims } from "./sweepClaims.ts"

/** All claims, in the order in which they are evaluated and reported. */
export const claims = (paper: Paper): ReadonlyArray<Claim> => [
  ...headlineClaims(paper),
  ...singleClaims(paper),
  ...sweepClaims(paper),
  ...attackClaims(paper),
  ...multitaskClaims(paper),
  ...interventionClaims(paper),
  ...robustnessClaims(paper),
]
