/**
 * The arms of experiment.md §6: what becomes of the vector of one step: the gradient with respect to a
 * block of the parameters, or the displacement of it. The block is attention in the paper, and in the words below.
 *
 * A SED arm works on the top directions of a window of the last W vectors, refreshed every step; a random arm on a
 * fresh random subspace of the same rank; the rest are the nulls that tell "any rank-3 step helps" from "attention
 * need not move at all".
 */
import { Schema } from "effect"
import { norm } from "../numerics/gram.ts"
import { randomProjection, rollingBasis } from "../numerics/projection.ts"
import { quickNormalsInto, stream } from "../numerics/random.ts"
import { Count } from "./contracts.ts"

/** Arms that work on the top directions of a window. */
const WINDOWED = ["remove-sed", "keep-sed"] as const
/** Arms that work on a random subspace. */
const RANDOM = ["remove-random", "keep-random", "keep-random-norm-matched"] as const
const FROZEN = ["frozen", "frozen-after-warmup"] as const

export const arms = [...WINDOWED, ...RANDOM, "noise", ...FROZEN, "decay-only"] as const
export type ArmName = (typeof arms)[number]
type WindowedArm = (typeof WINDOWED)[number]

const isIn =
  <Some extends ArmName>(some: ReadonlyArray<Some>) =>
  (arm: ArmName): arm is Some =>
    some.some((name) => name === arm)

const usesWindow = isIn(WINDOWED)
const isRandom = isIn(RANDOM)
const freezes = isIn(FROZEN)
/** Projections have a meaning for displacements too. */
const isProjection = isIn([...WINDOWED, ...RANDOM])

export const InterventionConfig = Schema.Struct({
  /**
   * `remove-*`, `keep-*`: without, or only, the component in the top SED or in random directions;
   * `keep-random-norm-matched`: rescaled to the natural norm; `noise`: a Gaussian vector of the natural norm;
   * `frozen`: attention never moves; `frozen-after-warmup`: not after the warm-up; `decay-only`: zero gradient after
   * the warm-up, so weight decay (and what momentum is left) moves it.
   */
  arm: Schema.Literals(arms),
  /** What is modified: the clipped gradient before the optimiser, or the displacement after it. */
  version: Schema.Literals(["gradient", "update"]),
  /** What the window holds: the modified vectors (the published code), or the natural ones. */
  buffer: Schema.Literals(["modified", "natural"]),
  /** W: vectors in the window. */
  window: Count(1000),
  /** Directions removed or kept. */
  rank: Count(1000),
  /** Natural steps before the first modified one; they fill the window. */
  warmup: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })),
}).check(
  Schema.makeFilter(({ arm, version }) =>
    version === "update" && !isProjection(arm)
      ? { path: ["version"], issue: `Expected gradient, the only version of ${arm}, got update` }
      : true,
  ),
  Schema.makeFilter(({ arm, buffer }) =>
    buffer === "natural" && !usesWindow(arm)
      ? { path: ["buffer"], issue: `Expected modified, because ${arm} has no window, got natural` }
      : true,
  ),
  Schema.makeFilter(({ arm, rank, window }) =>
    !usesWindow(arm) || rank <= window
      ? true
      : { path: ["rank"], issue: `Expected at most the window ${window}, got ${rank}` },
  ),
)
export type InterventionConfig = typeof InterventionConfig.Type

/** The last step whose state an arm can go on from as if it had been at work from the beginning: what it does is not begun. */
export const branchableUntil = ({ arm, window, warmup }: InterventionConfig): number => {
  if (arm === "frozen") return 0
  return Math.max(0, usesWindow(arm) ? warmup - window : warmup)
}

export interface Modification {
  /** [block]; overwritten by the next step. */
  readonly vector: Float32Array
  readonly modified: boolean
  /** Share of the window's energy in its top directions; null without a window. */
  readonly energyShare: number | null
}

export interface Arm {
  /** What becomes of the natural vector of step t; also moves the window on. */
  readonly modify: (t: number, natural: Float32Array) => Modification
  /** Whether the block is put back after step t. */
  readonly freezes: (t: number) => boolean
  /** The window's vectors, oldest first. */
  readonly rows: () => ReadonlyArray<Float32Array>
}

/** Rescales to a length; zeros stay zeros. */
const scaleTo = (vector: Float32Array, length: number): void => {
  const before = norm(vector)
  if (before === 0) return
  const scale = length / before
  for (let i = 0; i < vector.length; i++) vector[i] *= scale
}

const subtractFrom = (whole: Float32Array, part: Float32Array): void => {
  for (let i = 0; i < part.length; i++) part[i] = whole[i] - part[i]
}

/** A vector that nothing was done to. */
const untouched = (vector: Float32Array): Modification => ({ vector, modified: false, energyShare: null })

/** What an arm without a window makes of the natural vector of step t, written to `out`. */
type Write = (t: number, natural: Float32Array, out: Float32Array) => void

const openWrite = (
  arm: Exclude<ArmName, WindowedArm>,
  { rank }: InterventionConfig,
  size: number,
  seed: number,
): Write => {
  if (arm === "noise") {
    return (t, natural, out) => {
      quickNormalsInto(stream(seed, "noise", t), out)
      scaleTo(out, norm(natural))
    }
  }
  if (!isRandom(arm)) return (_t, _natural, out) => void out.fill(0)
  const project = randomProjection(rank, size)
  return (t, natural, out) => {
    project(natural, stream(seed, "random-basis", t), out)
    if (arm === "remove-random") subtractFrom(natural, out)
    if (arm === "keep-random-norm-matched") scaleTo(out, norm(natural))
  }
}

const openWindowless = (
  arm: Exclude<ArmName, WindowedArm>,
  config: InterventionConfig,
  size: number,
  seed: number,
): Arm => {
  const first = arm === "frozen" ? 1 : config.warmup + 1
  const write = openWrite(arm, config, size, seed)
  const vector = new Float32Array(size)
  return {
    modify: (t, natural) => {
      if (t < first) return untouched(natural)
      write(t, natural, vector)
      return { vector, modified: true, energyShare: null }
    },
    freezes: (t) => freezes(arm) && t >= first,
    rows: () => [],
  }
}

const openWindowed = (
  arm: WindowedArm,
  { buffer, window, rank, warmup }: InterventionConfig,
  size: number,
  rows: ReadonlyArray<Float32Array>,
): Arm => {
  const basis = rollingBasis(window, size, rows)
  const vector = new Float32Array(size)
  return {
    modify: (t, natural) => {
      if (t <= warmup) {
        basis.push(natural)
        return untouched(natural)
      }
      const { coefficients, products, energyShare } = basis.projection(natural, rank)
      const from = arm === "remove-sed" ? natural : undefined
      if (buffer === "natural") {
        basis.combine(coefficients, vector, from)
        basis.push(natural, products)
      } else {
        basis.push(vector, basis.combineForPush(coefficients, vector, from))
      }
      return { vector, modified: true, energyShare: Number.isFinite(energyShare) ? energyShare : null }
    },
    freezes: () => false,
    rows: basis.rows,
  }
}

/** An arm at work on vectors [size]; `rows` is the window to go on from. */
export const openArm = (
  config: InterventionConfig,
  size: number,
  seed: number,
  rows: ReadonlyArray<Float32Array>,
): Arm =>
  usesWindow(config.arm)
    ? openWindowed(config.arm, config, size, rows)
    : openWindowless(config.arm, config, size, seed)
