/**
 * The tables that a reproduction leaves behind, as Schemas of their rows. Figures and README are rendered from them
 * alone, so they can be rendered again, and checked, without computing anything.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { tableOf } from "../services/artifacts.ts"
import { encodeTable } from "../services/formats/parquet.ts"

const { String: Text, Int, Finite, NullOr } = Schema
const MaybeInt = NullOr(Int)
const MaybeNumber = NullOr(Finite)

/** A trained run: which, and when it grokked under each definition (null: never). */
const Run = Schema.Struct({
  experiment: Text,
  operation: Text,
  seed: Int,
  steps: Int,
  firstHalf: MaybeInt,
  firstThreshold: MaybeInt,
  stopStep: MaybeInt,
  finalTrainAccuracy: Finite,
  finalTestAccuracy: Finite,
})

const Accuracy = Schema.Struct({
  operation: Text,
  seed: Int,
  step: Int,
  trainAccuracy: Finite,
  testAccuracy: Finite,
})

/** W, the rows asked for in a window, and K, the directions in R̄. */
const sizes = { windowRows: Int, directions: Int }

/**
 * R̄ and R₁…R₃ at a measurement point of a run of one operation. `rows` is the kind of rows, `window` the placement of windows,
 * `draw` the number of the draw of a null objective, `rowCount` the rows that the window has.
 */
const Coupling = Schema.Struct({
  experiment: Text,
  operation: Text,
  seed: Int,
  rows: Text,
  window: Text,
  draw: Int,
  ...sizes,
  step: Int,
  rowCount: Int,
  meanR: MaybeNumber,
  R1: MaybeNumber,
  R2: MaybeNumber,
  R3: MaybeNumber,
  denominator: Finite,
  denominatorIqr: Finite,
})

/** R̄ and R₁ at a measurement point under another choice of `setting`. */
const Sweep = Schema.Struct({
  setting: Text,
  value: Text,
  rows: Text,
  seed: Int,
  ...sizes,
  step: Int,
  meanR: MaybeNumber,
  R1: MaybeNumber,
})

/** `range`: what gradient batches and probes are drawn from. */
const MultitaskCoupling = Schema.Struct({
  operation: Text,
  seed: Int,
  estimator: Text,
  stride: Int,
  range: Text,
  ...sizes,
  step: Int,
  meanR: MaybeNumber,
})

/** How far the leading subspaces of gradients on two batches differ at a measurement point. */
const Alignment = Schema.Struct({
  between: Text,
  seed: Int,
  step: Int,
  directionalVariance: MaybeNumber,
})

/** Share of a window's energy in its leading direction, and in its three leading directions. */
const Energy = Schema.Struct({
  experiment: Text,
  operation: Text,
  seed: Int,
  rows: Text,
  step: Int,
  share1: MaybeNumber,
  share3: MaybeNumber,
})

/** An arm of an intervention; its paired control has arm `control`. */
const Intervention = Schema.Struct({
  operation: Text,
  seed: Int,
  arm: Text,
  version: NullOr(Text),
  steps: Int,
  firstHalf: MaybeInt,
  firstThreshold: MaybeInt,
  stopStep: MaybeInt,
  normRatio: MaybeNumber,
  cosine: MaybeNumber,
  energyShare: MaybeNumber,
  /** Mean over the modified steps of 1 − (norm ratio)². */
  removedEnergy: MaybeNumber,
})

const InterventionCurve = Schema.Struct({
  operation: Text,
  seed: Int,
  arm: Text,
  version: NullOr(Text),
  step: Int,
  trainAccuracy: Finite,
  testAccuracy: Finite,
})

/** Singular values of the first, middle and last window. */
const Spectrum = Schema.Struct({
  operation: Text,
  seed: Int,
  rows: Text,
  windowRows: Int,
  phase: Schema.Literals(["initial", "middle", "last"]),
  step: Int,
  index: Int,
  sigma: Finite,
})

const PerExample = Schema.Struct({
  operation: Text,
  seed: Int,
  phase: Schema.Literals(["initial", "middle", "last"]),
  step: Int,
  directions: Int,
  meanR: MaybeNumber,
  R1: MaybeNumber,
  /** |cos| of the first direction and the mean gradient. */
  cosineToMean: MaybeNumber,
})

const CentroidSpectrum = Schema.Struct({
  operation: Text,
  seed: Int,
  step: Int,
  components90: Int,
  share1: Finite,
})

/** R² of a centroid component's scores on cosine and sine of one frequency, at the last checkpoint. */
const Harmonic = Schema.Struct({
  operation: Text,
  seed: Int,
  step: Int,
  pc: Int,
  family: Text,
  frequency: Int,
  r2: MaybeNumber,
})

/** R² of a centroid component's scores on all frequencies of a family together. */
const JointFourier = Schema.Struct({
  operation: Text,
  seed: Int,
  step: Int,
  pc: Int,
  family: Text,
  r2: MaybeNumber,
})

/** How far the two definitions of a centroid agree at the last checkpoint. */
const Centroids = Schema.Struct({
  operation: Text,
  seed: Int,
  cosine: MaybeNumber,
  correctLogit: Int,
  logitSum: Int,
})

export const schemas = {
  runs: Run,
  accuracy: Accuracy,
  coupling: Coupling,
  sweeps: Sweep,
  multitask: MultitaskCoupling,
  alignment: Alignment,
  energy: Energy,
  interventions: Intervention,
  "intervention-curves": InterventionCurve,
  spectra: Spectrum,
  "per-example": PerExample,
  "centroid-spectrum": CentroidSpectrum,
  "joint-fourier": JointFourier,
  centroids: Centroids,
  harmonics: Harmonic,
} as const
export type TableName = keyof typeof schemas
export type Tables = { readonly [Name in TableName]: ReadonlyArray<(typeof schemas)[Name]["Type"]> }

export const tableNames = Object.keys(schemas) as ReadonlyArray<TableName>

/** Rows as a table, its columns in the order of the Schema. */
export const toTable = <Name extends TableName>(name: Name, rows: ReadonlyArray<Tables[Name][number]>) => {
  const columns: ReadonlyArray<string> = Object.keys(schemas[name].fields)
  const records: ReadonlyArray<Readonly<Record<string, unknown>>> = rows
  return table(Object.fromEntries(columns.map((column) => [column, records.map((row) => row[column])])))
}

export const toParquet = <Name extends TableName>(name: Name, rows: Tables[Name]): Uint8Array =>
  encodeTable(toTable(name, rows))

export const toCsv = <Name extends TableName>(
  name: Name,
  rows: ReadonlyArray<Tables[Name][number]>,
): string => toTable(name, rows).toCSV()

/** The rows of a table's Parquet file. */
export const fromParquet = Effect.fn("fromParquet")(function* <Name extends TableName>(
  name: Name,
  bytes: Uint8Array,
) {
  const rows = (yield* tableOf(bytes)).objects()
  return yield* Schema.decodeUnknownEffect(Schema.Array(schemas[name]))(rows)
})
