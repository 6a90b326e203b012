/**
 * Assertions made about the work by a reviewer's simulated rebuttal, measured like claims
 * (experiment.md §7).
 */
import { Effect } from "effect"
import { mean } from "../numerics/statistics.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { RollingSvd } from "../stages/contracts.ts"
import { type Claim, type Quantity, RATIO } from "./Claim.ts"
import { map, read } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import {
  code,
  type Kind,
  type Points,
  peak,
  quantity,
  review,
  sizes,
  sweepSizes,
  where,
} from "./quantities.ts"
import { judgeEach, judgeMagnitude, ofGradients } from "./verdicts.ts"

const perExampleClaims = ({ sensitivities, config }: Paper): ReadonlyArray<Claim> =>
  (
    [
      ["initial", 27],
      ["middle", 92],
      ["last", 431],
    ] as const
  ).map(([phase, value]): Claim => {
    const of = (what: "mean" | "first") =>
      quantity(
        `${what === "mean" ? "R̄" : "R₁"} at the ${phase} checkpoint; SVD of the centred gradients of ${config.sensitivity.perExample.examples} single examples, K = ${config.sensitivity.perExample.rank}`,
        RATIO,
        sensitivities.map(({ seed, perExample }) => ({
          seed,
          value: map(perExample, ({ phases }) => {
            const found = phases.find((one) => one.phase === phase)
            return (what === "mean" ? found?.meanR : found?.ratios[0]) ?? null
          }),
        })),
      )
    return {
      id: `coupling.per-example.${phase}`,
      statement: `add: directions of per-example gradients, ${phase} checkpoint`,
      paper: { value, source: code },
      quantity: of("mean"),
      beside: { "R₁": of("first") },
      judge: (measured, _, paper) => judgeMagnitude(paper, measured),
    }
  })

const windowClaim = ({ sensitivities, fine, config }: Paper): Claim => {
  const sweep = (window: number, kind: Kind = "gradient", points: Points = "all"): Quantity =>
    quantity(
      `max over ${where[points]} of R̄; ${kind} rows every ${config.single.train.evaluateEvery} steps, forward windows; ${sweepSizes(config, window)}`,
      RATIO,
      sensitivities.map(({ seed, windows }) => {
        const at = windows.find((one) => one.window === window) ?? windows[0]
        return { seed, value: peak(at[kind], points) }
      }),
    )
  const { windows } = config.sensitivity
  const long = windows.filter((window) => window > 20)
  const [first = windows[windows.length - 1], ...others] = long
  const { evaluateEvery } = config.sensitivity.fine
  const fineSweep = (at: Paper["fine"]["windows"][number], kind: Kind = "gradient") =>
    quantity(
      `max over all points of R̄; ${kind} rows every ${evaluateEvery} steps, forward windows; ${sweepSizes(config, at.window)}`,
      RATIO,
      [{ seed: fine.seed, value: peak(at[kind]) }],
    )
  return {
    id: "rebuttal.window-10-200",
    statement: "R̄ stays above 100 once W > 20",
    paper: { statement: "R̄ > 100 for windows of more than 20", source: review },
    quantity: sweep(first),
    beside: Object.fromEntries([
      ...others.map((window) => [`W = ${window}`, sweep(window)]),
      ...fine.windows.map((at) => [`W = ${at.window}, every ${evaluateEvery} steps`, fineSweep(at)]),
      [`W = ${first}, full windows`, sweep(first, "gradient", "fullWindows")],
      ...long.map((window) => [`update rows, W = ${window}`, sweep(window, "update")]),
      ...fine.windows.map((at) => [
        `update rows, W = ${at.window}, every ${evaluateEvery} steps`,
        fineSweep(at, "update"),
      ]),
    ]),
    judge: (measured, beside) =>
      judgeEach([[`W = ${first}`, measured], ...ofGradients(beside)], (value) => value > 100),
  }
}

/**
 * The rebuttal does not say of which batch the variance is. The training minibatch's is the claim; beside it stands the
 * mixed batch's, whose gradients the rows are: once the training set is learned it is far larger.
 */
const noiseClaim = ({ sensitivities, config }: Paper): Claim => {
  type Of = Paper["sensitivities"][number]["noise"][number]["of"]
  const after = (of: Of, multiple: number, points: Points = "all") =>
    quantity(
      `max over ${where[points]} of R̄; gradient rows plus white noise of ${multiple}× the variance of a ${of}, forward windows; ${sweepSizes(config)}`,
      RATIO,
      sensitivities.map(({ seed, noise }) => {
        const at = noise.find((one) => one.of === of && one.multiple === multiple) ?? noise[0]
        return { seed, value: peak(at.coupling, points) }
      }),
    )
  const { noise: multiples } = config.sensitivity
  const [first, ...others] = multiples
  return {
    id: "rebuttal.noise-injection",
    statement: "R̄ stays at 80 – 300 with isotropic Gaussian noise at the batch variance",
    paper: { low: 80, high: 300, source: review },
    quantity: after("training batch", first),
    beside: Object.fromEntries([
      ["full windows", after("training batch", first, "fullWindows")],
      ...others.map((multiple) => [`${multiple}× the variance`, after("training batch", multiple)]),
      ...multiples.map((multiple) => [
        `${multiple}× the mixed batch's variance`,
        after("mixed batch", multiple),
      ]),
    ]),
    judge: (measured, _, paper) => judgeMagnitude(paper, measured),
  }
}

const alignmentClaim = ({ sensitivities, config }: Paper): Claim => {
  const between = (pair: string) =>
    quantity(
      `1 − mean squared cosine of the principal angles between the leading subspaces of gradients on ${pair}, forward windows; mean over points; ${sweepSizes(config)}`,
      "share",
      sensitivities.flatMap(({ seed, alignments }) =>
        alignments
          .filter((one) => one.between === pair)
          .map(({ comparison }) => ({ seed, value: map(comparison, ({ all }) => all.directionalVariance) })),
      ),
    )
  const pairs = ["training batch and training set", "mixed batch and training set"]
  const peakOf = (of: string, what: string) =>
    quantity(
      `max over all points of R̄; gradients of ${what}, forward windows; ${sweepSizes(config)}`,
      RATIO,
      sensitivities.flatMap(({ seed, batches }) =>
        batches.filter(({ batch }) => batch === of).map(({ coupling }) => ({ seed, value: peak(coupling) })),
      ),
    )
  return {
    id: "rebuttal.full-batch-alignment",
    statement:
      "directions of a batch and of the full set differ by less than 5 % directional variance (the assertion does not say which set; all readings are judged)",
    paper: { statement: "< 5 % directional variance", source: review },
    quantity: between("mixed batch and whole table"),
    beside: {
      ...Object.fromEntries(pairs.map((pair) => [pair, between(pair)])),
      "peak R̄, training set": peakOf("train-full", "all training pairs"),
      "peak R̄, whole table": peakOf("mixed-full", "all pairs"),
    },
    judge: (measured, beside) =>
      judgeEach(
        [["mixed batch and whole table", measured], ...pairs.map((pair) => [pair, beside[pair]] as const)],
        (value) => value < 0.05,
      ),
  }
}

type Figure = "normRatio" | "cosine" | "energyShare"

const armFigure = (paper: Paper, id: string, figure: Figure, definition: string): Quantity =>
  quantity(
    `${definition}; mean over modified steps, add, ${id}, gradient version`,
    "share",
    paper.interventions
      .filter(({ operation }) => operation === "add")
      .flatMap(({ seed, arms }) =>
        arms
          .filter((arm) => arm.id === id && arm.version === "gradient")
          .map(({ run }) => ({ seed, value: map(run, (intervened) => intervened[figure]) })),
      ),
  )

/** Mean over points of the top-3 energy share of a spectrum. */
const meanEnergyShare = (sed: Node<RollingSvd>): Node<number | null> =>
  read(sed, ({ spectrum }) =>
    Effect.map(getTable(spectrum), (rows) => {
      const shares = Array.from(numbers(rows, "energyShare3")).filter(Number.isFinite)
      return shares.length === 0 ? null : mean(shares)
    }),
  )

const energy = ({ singles, config }: Paper, kind: Kind): Quantity =>
  quantity(
    `share of the energy of ${kind} windows (forward, add) in their three leading directions; mean over points; ${sizes({ window: config.single.svd.window, points: config.single.svd.points })}`,
    "share",
    singles
      .filter(({ config }) => config.data.operation === "add")
      .flatMap(({ seed, couplings }) =>
        couplings
          .filter((one) => one.kind === kind && one.direction === "forward")
          .map(({ sed }) => ({ seed, value: meanEnergyShare(sed) })),
      ),
  )

const projectionClaims = (paper: Paper): ReadonlyArray<Claim> => {
  const ids = ["remove-sed", "keep-random", "remove-random"]
  const beside = (figure: Figure, definition: string) =>
    Object.fromEntries(ids.map((id) => [id, armFigure(paper, id, figure, definition)]))
  const norms = "‖projected gradient‖ ÷ ‖natural gradient‖"
  const cosines = "cosine of projected and natural gradient"
  return [
    {
      id: "rebuttal.norm-ratio",
      statement:
        "projection changes the gradient's norm by less than 1 % (for an orthogonal projection norm ratio and cosine are the same number, so this and a cosine of 0.85 cannot both hold)",
      paper: { statement: "norm ratio within 1 %", source: review },
      quantity: armFigure(paper, "keep-sed", "normRatio", norms),
      beside: beside("normRatio", norms),
      judge: (measured, beside) =>
        judgeEach(
          [["keep-sed", measured], ...Object.entries(beside)],
          (value) => Math.abs(value - 1) <= 0.01,
        ),
    },
    {
      id: "rebuttal.cosine",
      statement: "the projected gradient has a cosine of 0.85 with the natural one",
      paper: { value: 0.85, source: review },
      quantity: armFigure(paper, "keep-sed", "cosine", cosines),
      beside: beside("cosine", cosines),
      // Cosines are compared by difference: 0.05 either way.
      judge: (measured, beside) =>
        judgeEach(
          [["keep-sed", measured], ...Object.entries(beside)],
          (value) => Math.abs(value - 0.85) <= 0.05,
        ),
    },
    {
      id: "rebuttal.rank-3-energy",
      statement: "three directions hold more than 95 % of the window's energy",
      paper: { statement: "cumulative variance > 95 %", source: review },
      quantity: energy(paper, "gradient"),
      beside: {
        "update windows": energy(paper, "update"),
        "keep-sed, per-step gradients": armFigure(paper, "keep-sed", "energyShare", "top-3 energy share"),
        "natural-buffer-keep-sed, per-step gradients": armFigure(
          paper,
          "natural-buffer-keep-sed",
          "energyShare",
          "top-3 energy share",
        ),
      },
      judge: (measured, beside) =>
        judgeEach(
          [
            ["gradient windows", measured],
            ["update windows", beside["update windows"]],
            ["natural per-step gradients", beside["natural-buffer-keep-sed, per-step gradients"]],
          ],
          (value) => value > 0.95,
        ),
    },
  ]
}

export const rebuttalClaims = (paper: Paper): ReadonlyArray<Claim> => [
  ...perExampleClaims(paper),
  windowClaim(paper),
  noiseClaim(paper),
  alignmentClaim(paper),
  ...projectionClaims(paper),
]
