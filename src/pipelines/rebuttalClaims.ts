/**
 * Assertions made about the work by a reviewer's simulated rebuttal, measured like claims; the question that would
 * settle it; and controls of our own (experiment.md §7).
 */
import { Effect } from "effect"
import { mean } from "../numerics/statistics.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { RollingSvd } from "../stages/contracts.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { type Claim, type Quantity, RATIO } from "./Claim.ts"
import { map, ratio, read } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import {
  code,
  couplingNode,
  firstPeak,
  type Kind,
  type Points,
  peak,
  quantity,
  review,
  text,
  where,
} from "./quantities.ts"
import type { Single } from "./single.ts"
import { judgeAssertion, judgeMagnitude, type Measured } from "./verdicts.ts"

const perExampleClaims = ({ sensitivities }: Paper): ReadonlyArray<Claim> =>
  (
    [
      ["initial", 27],
      ["middle", 92],
      ["last", 431],
    ] as const
  ).map(([phase, value]): Claim => {
    const of = (what: "mean" | "first") =>
      quantity(
        `${what === "mean" ? "R̄" : "R₁"} at the ${phase} checkpoint; SVD of the centred gradients of single examples`,
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

const each = (
  cases: ReadonlyArray<readonly [name: string, measured: Measured | undefined]>,
  holds: (x: number) => boolean,
) =>
  judgeAssertion(
    cases.map(([name, measured]) => {
      const value = measured?.value ?? null
      return {
        name: value === null ? name : `${name} ${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}`,
        holds: value === null ? null : holds(value),
      }
    }),
  )

const windowClaim = ({ sensitivities, fine, config }: Paper): Claim => {
  const sweep = (window: number, kind: Kind = "gradient", points: Points = "all"): Quantity =>
    quantity(
      `max over ${where[points]} of R̄; ${kind} rows every ${config.single.train.evaluateEvery} steps, W = ${window}`,
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
  const fineSweep = ({ window, gradient }: Paper["fine"]["windows"][number]) =>
    quantity(`max over all points of R̄; gradient rows every ${evaluateEvery} steps, W = ${window}`, RATIO, [
      { seed: fine.seed, value: peak(gradient) },
    ])
  return {
    id: "rebuttal.window-10-200",
    statement: "R̄ stays above 100 once W > 20",
    paper: { statement: "R̄ > 100 for windows of more than 20", source: review },
    quantity: sweep(first),
    beside: Object.fromEntries([
      ...others.map((window) => [`W = ${window}`, sweep(window)]),
      ...fine.windows.map((at) => [`W = ${at.window}, every ${evaluateEvery} steps`, fineSweep(at)]),
      [`W = ${first}, full windows`, sweep(first, "gradient", "fullWindows")],
    ]),
    judge: (measured, beside) =>
      each([[`W = ${first}`, measured], ...Object.entries(beside)], (value) => value > 100),
  }
}

const noiseClaim = ({ sensitivities, config }: Paper): Claim => {
  const of = (multiple: number, points: Points = "all") =>
    quantity(
      `max over ${where[points]} of R̄; gradient rows plus white noise of ${multiple}× the minibatch variance`,
      RATIO,
      sensitivities.map(({ seed, noise }) => {
        const at = noise.find((one) => one.multiple === multiple) ?? noise[0]
        return { seed, value: peak(at.coupling, points) }
      }),
    )
  const [first, ...others] = config.sensitivity.noise
  return {
    id: "rebuttal.noise-injection",
    statement: "R̄ stays at 80 – 300 with isotropic Gaussian noise at the batch variance",
    paper: { low: 80, high: 300, source: review },
    quantity: of(first),
    beside: Object.fromEntries([
      ["full windows", of(first, "fullWindows")],
      ...others.map((multiple) => [`${multiple}× the variance`, of(multiple)]),
    ]),
    judge: (measured, _, paper) => judgeMagnitude(paper, measured),
  }
}

const alignmentClaim = ({ sensitivities }: Paper): Claim => ({
  id: "rebuttal.full-batch-alignment",
  statement:
    "directions of the batch and of the full training set differ by less than 5 % directional variance",
  paper: { statement: "< 5 % directional variance", source: review },
  quantity: quantity(
    "1 − mean squared cosine of the principal angles between the top-3 subspaces of the mixed batch and of all training pairs; mean over points",
    "share",
    sensitivities.map(({ seed, alignment }) => ({
      seed,
      value: map(alignment, ({ all }) => all.directionalVariance),
    })),
  ),
  beside: {
    "peak R̄, all training pairs": quantity(
      "max over all points of R̄; gradients of all training pairs",
      RATIO,
      sensitivities.flatMap(({ seed, batches }) =>
        batches
          .filter(({ batch }) => batch === "train-full")
          .map(({ coupling }) => ({ seed, value: peak(coupling) })),
      ),
    ),
  },
  judge: (measured) => each([["directional variance", measured]], (value) => value < 0.05),
})

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

const energy = ({ singles }: Paper, kind: Kind): Quantity =>
  quantity(
    `share of the energy of ${kind} windows (W = 20, forward, add) in their three leading directions; mean over points`,
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
        each([["keep-sed", measured], ...Object.entries(beside)], (value) => Math.abs(value - 1) <= 0.01),
    },
    {
      id: "rebuttal.cosine",
      statement: "the projected gradient has a cosine of 0.85 with the natural one",
      paper: { value: 0.85, source: review },
      quantity: armFigure(paper, "keep-sed", "cosine", cosines),
      beside: beside("cosine", cosines),
      // Cosines are compared by difference: 0.05 either way.
      judge: (measured, beside) =>
        each([["keep-sed", measured], ...Object.entries(beside)], (value) => Math.abs(value - 0.85) <= 0.05),
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
        each(
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

const gap = (runs: ReadonlyArray<Single>, what: string, points: Points = "all"): Quantity =>
  quantity(
    `${what}: peak R̄ of gradient rows ÷ that of update rows; forward windows, ${where[points]}`,
    RATIO,
    runs.map((run) => ({
      seed: run.seed,
      value: ratio(
        peak(couplingNode(run, "gradient", "forward"), points),
        peak(couplingNode(run, "update", "forward"), points),
      ),
    })),
  )

const robustnessClaim = ({ robustness }: Paper): Claim => {
  const [first, ...others] = robustness
  return {
    id: "robustness.optimizer-and-schedule",
    statement:
      "the gap between gradient and update directions survives another optimiser, weight decay and schedule (at least tenfold)",
    paper: { statement: "not tested in the paper; the reviewer's question", source: review },
    quantity: gap([first.run], first.variant.description),
    beside: Object.fromEntries([
      ...others.map(({ variant, run }) => [variant.id, gap([run], variant.description)]),
      ...robustness.map(({ variant, run }) => [
        `${variant.id}, full windows`,
        gap([run], variant.description, "fullWindows"),
      ]),
    ]),
    judge: (measured, beside) =>
      each(
        [
          [first.variant.id, measured],
          ...others.map(({ variant }) => [variant.id, beside[variant.id]] as const),
        ],
        (value) => value >= 10,
      ),
  }
}

/** Peaks where there is nothing to generalise: what a gradient direction's coupling is without grokking. */
const controlClaims = ({ nonGrokking, shuffled }: Paper): ReadonlyArray<Claim> =>
  [
    ...nonGrokking.map((run) => ({
      id: `control.non-grokking.${run.config.data.operation}`,
      what: `${run.config.data.operation}, which does not grok`,
      run,
    })),
    { id: "control.shuffled-labels", what: "add with shuffled labels", run: shuffled },
  ].map(({ id, what, run }): Claim => {
    const of = (kind: Kind, points: Points) =>
      quantity(`${what}: max over ${where[points]} of R̄; ${kind} rows, forward windows`, RATIO, [
        { seed: run.seed, value: peak(couplingNode(run, kind, "forward"), points) },
      ])
    return {
      id,
      statement: `${what}: if coupling showed features that generalise, gradient directions should couple far less than the 100 – 330 of grokking runs (ours, not the paper's)`,
      paper: { statement: "no control without grokking published", source: text },
      quantity: of("gradient", "all"),
      beside: {
        "full windows": of("gradient", "fullWindows"),
        "update rows": of("update", "all"),
        "update rows, full windows": of("update", "fullWindows"),
      },
      // Below a third of the published range's lower end.
      judge: (measured) => each([["gradient peak", measured]], (value) => value < 33),
    }
  })

/** Peak of the mean of R₁…R_k, from a measurement of at least k directions. */
const peakOfRank = (coupling: Node<Coupling>, k: number): Node<number | null> =>
  read(coupling, ({ series }) =>
    Effect.map(getTable(series), (rows) => {
      const columns = Array.from({ length: k }, (_, i) => Array.from(numbers(rows, `R${i + 1}`)))
      const means = columns[0].map((_, point) => mean(columns.map((column) => column[point])))
      const known = means.filter(Number.isFinite)
      return known.length === 0 ? null : Math.max(...known)
    }),
  )

const definitionClaims = ({ sensitivities, config }: Paper): ReadonlyArray<Claim> => {
  const logitSum = (kind: Kind) =>
    quantity(
      `max over all points of R̄; ${kind} rows, centroids of the sum of all logits`,
      RATIO,
      sensitivities.map((run) => ({ seed: run.seed, value: peak(run.logitSum[kind]) })),
    )
  const rank = (k: number) =>
    quantity(
      `max over all points of the mean of R₁…R_${k}; gradient rows`,
      RATIO,
      sensitivities.map(({ seed, ranked }) => ({ seed, value: peakOfRank(ranked.gradient, k) })),
    )
  const batch = (of: string) =>
    quantity(
      `max over all points of R̄; gradients of batch ${of}`,
      RATIO,
      sensitivities.flatMap(({ seed, batches }) =>
        batches.filter((one) => one.batch === of).map(({ coupling }) => ({ seed, value: peak(coupling) })),
      ),
    )
  const exact = (kind: Kind) =>
    quantity(
      `max over all points of R₁; ${kind} rows, exact derivative`,
      RATIO,
      sensitivities.flatMap(({ seed, epsilons }) =>
        epsilons.filter(({ epsilon }) => epsilon === 0).map((at) => ({ seed, value: firstPeak(at[kind]) })),
      ),
    )
  return [
    {
      id: "definition.sensitivity.add",
      statement:
        "the gap does not hang on one choice: centroid, derivative, rank or gradient batch (gradient peaks at least 33 in each; ours, not the paper's)",
      paper: { statement: "one definition published", source: text },
      quantity: logitSum("gradient"),
      beside: {
        "update rows, sum of logits": logitSum("update"),
        "exact derivative, R₁": exact("gradient"),
        "update rows, exact derivative, R₁": exact("update"),
        ...Object.fromEntries(config.sensitivity.ranks.map((k) => [`K = ${k}`, rank(k)])),
        ...Object.fromEntries(["train", "train-full", "step"].map((of) => [`batch ${of}`, batch(of)])),
      },
      judge: (measured, beside) =>
        each(
          [
            ["sum of logits", measured],
            ...Object.entries(beside).filter(([name]) => !name.startsWith("update")),
          ],
          (value) => value >= 33,
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
  robustnessClaim(paper),
  ...controlClaims(paper),
  ...definitionClaims(paper),
]
