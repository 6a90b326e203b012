/**
 * What all figures share: size, type, colours, and one style per kind of series.
 *
 * Colours are those of Okabe & Ito (2008), which stay apart without colour vision; every series also has a dash
 * and a marker of its own, so that a figure reads in greyscale. Text in a series' colour uses a darker shade.
 */

/** Pixels. */
export const page = { width: 900, margin: 20 } as const

export const fontFamily = "Inter, 'Helvetica Neue', Arial, sans-serif"

/** Pixels. */
export const fontSize = { title: 16, heading: 12, axis: 11, label: 11 } as const

export const neutral = {
  ink: "#1a1a1a",
  text: "#444444",
  axis: "#8a8a8a",
  grid: "#e4e4e4",
  published: "#6b6b6b",
} as const

export type Marker = "circle" | "square" | "triangle" | "diamond2" | "star" | "wye"

export interface Style {
  readonly colour: string
  /** The colour for text: at least 4.5 : 1 against white. */
  readonly ink: string
  /** An SVG `stroke-dasharray`. */
  readonly dash: string
  readonly marker: Marker
}

const solid = "none"

/** In the order in which they are given out; black is kept for the control. */
export const palette: ReadonlyArray<Style> = [
  { colour: "#0072B2", ink: "#005f94", dash: solid, marker: "circle" },
  { colour: "#D55E00", ink: "#a84a00", dash: "7 3", marker: "triangle" },
  { colour: "#009E73", ink: "#00755a", dash: "2 2.5", marker: "square" },
  { colour: "#CC79A7", ink: "#a04679", dash: "9 3 2 3", marker: "diamond2" },
  { colour: "#E69F00", ink: "#8a6000", dash: "4 2", marker: "star" },
  { colour: "#56B4E9", ink: "#1f72a3", dash: "1 3", marker: "wye" },
]

export const black: Style = { colour: "#000000", ink: "#000000", dash: solid, marker: "circle" }

/** The n-th style of the palette, from the start again after the last. */
export const styleAt = (index: number): Style => palette[index % palette.length] ?? black

/** Rows whose singular vectors are the directions (experiment.md §4). */
export type Estimator =
  | "update"
  | "gradient"
  | "random-logits"
  | "permuted-labels"
  | "per-op-gradient"
  | "aggregated-gradient"

/** What each is called in a figure. */
export const estimatorNames: Readonly<Record<Estimator, string>> = {
  update: "updates",
  gradient: "gradients",
  "random-logits": "random logits",
  "permuted-labels": "permuted labels",
  "per-op-gradient": "own loss",
  "aggregated-gradient": "summed loss",
}

const gradient: Style = { colour: "#D55E00", ink: "#a84a00", dash: solid, marker: "triangle" }

export const estimatorStyle: Readonly<Record<Estimator, Style>> = {
  update: { colour: "#0072B2", ink: "#005f94", dash: "6 2.5", marker: "circle" },
  gradient,
  "per-op-gradient": gradient,
  "random-logits": { colour: "#CC79A7", ink: "#a04679", dash: "9 3 2 3", marker: "diamond2" },
  "permuted-labels": { colour: "#E69F00", ink: "#8a6000", dash: "4 2", marker: "star" },
  "aggregated-gradient": { colour: "#009E73", ink: "#00755a", dash: "2 2.5", marker: "square" },
}
