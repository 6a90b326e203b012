/**
 * A figure as an SVG text: title and panels drawn by Observable Plot. The caption is the description of the SVG, which pages
 * show as text: drawn, it would be cut off wherever the font is not there.
 *
 * The same data give the same bytes: nothing is random, no ids are counted, and coordinates are rounded to
 * hundredths of a pixel.
 */
import * as Plot from "@observablehq/plot"
import { DOMParser } from "linkedom"
import { wrap } from "./text.ts"
import { fontFamily, fontSize, neutral, page } from "./theme.ts"

export interface Margins {
  readonly top: number
  readonly right: number
  readonly bottom: number
  readonly left: number
}

/** One set of axes. Position and size in pixels, margins included, from the lower edge of the figure's title. */
export interface Panel {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly margins: Margins
  /** Above the top left corner of the plot area, or `headingX` pixels from the panel's left edge. */
  readonly heading?: string
  readonly headingX?: number
  readonly xScale: Plot.ScaleOptions
  readonly yScale: Plot.ScaleOptions
  readonly colour?: Plot.ScaleOptions
  readonly marks: ReadonlyArray<Plot.Markish>
}

/** A line of text outside the panels, on its baseline. */
export interface Line {
  readonly x: number
  readonly y: number
  readonly text: string
}

export interface Figure {
  readonly title: string
  /** Pixels; that of a page where it is not given. */
  readonly width?: number
  readonly panels: ReadonlyArray<Panel>
  readonly headings?: ReadonlyArray<Line>
  /** Sentences of the description; empty ones are left out. */
  readonly caption: ReadonlyArray<string>
}

const namespace = "http://www.w3.org/2000/svg"
type Document = ReturnType<DOMParser["parseFromString"]>
type Attributes = Readonly<Record<string, string | number>>

const element = (document: Document, name: string, attributes: Attributes, text?: string) => {
  const created = document.createElementNS(namespace, name, {})
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, String(value))
  if (text !== undefined) created.textContent = text
  return created
}

const semiBold = { "font-weight": 600, fill: neutral.ink }

const drawPanel = (document: Document, panel: Panel) => {
  const { margins } = panel
  const drawn = Plot.plot({
    document,
    className: "plot",
    width: panel.width,
    height: panel.height,
    marginTop: margins.top,
    marginRight: margins.right,
    marginBottom: margins.bottom,
    marginLeft: margins.left,
    x: { axis: null, ...panel.xScale },
    y: { axis: null, ...panel.yScale },
    ...(panel.colour === undefined ? {} : { color: panel.colour }),
    marks: [...panel.marks],
  })
  const group = element(document, "g", {
    transform: `translate(${panel.x},${panel.y})`,
    "font-size": fontSize.axis,
    "text-anchor": "middle",
  })
  if (panel.heading !== undefined) {
    const x = panel.headingX ?? margins.left
    const at = { x, y: margins.top - 9, "text-anchor": "start", "font-size": fontSize.heading }
    group.append(element(document, "text", { ...at, ...semiBold }, panel.heading))
  }
  for (const child of [...drawn.children]) if (child.localName !== "style") group.append(child)
  return group
}

const geometry = ["d", "transform", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height"]
const number = /-?\d+(?:\.\d+)?(?:e[-+]?\d+)?/g
const rounded = (text: string) => text.replace(number, (n) => String(Math.round(Number(n) * 100) / 100))

/** Keeps "W = 20" and "95 %" on one line. */
const unbroken = (text: string) => text.replace(/ = /g, "\u00a0=\u00a0").replace(/(?<=\d) %/g, "\u00a0%")

/** The SVG text of a figure, in UTF-8 with an XML namespace, ready for a file. */
export const renderSvg = (figure: Figure): string => {
  const { width = page.width } = figure
  const inner = width - 2 * page.margin
  // Some fonts that stand in for ours are a fifth wider.
  const titles = wrap(figure.title, inner * 0.8, fontSize.title)
  const top = page.margin + titles.length * 21
  const body = Math.max(...figure.panels.map(({ y, height }) => y + height))
  const sentences = unbroken(figure.caption.filter((sentence) => sentence !== "").join(" "))
  const height = Math.ceil(top + body + page.margin / 2)

  const document = new DOMParser().parseFromString(`<svg xmlns="${namespace}"></svg>`, "image/svg+xml")
  const svg = element(document, "svg", {
    xmlns: namespace,
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "font-family": fontFamily,
    fill: neutral.ink,
    color: neutral.ink,
  })
  svg.append(element(document, "title", {}, figure.title), element(document, "desc", {}, sentences))
  svg.append(element(document, "rect", { width, height, fill: "white" }))
  titles.forEach((line, i) => {
    const at = { x: page.margin, y: page.margin + 12 + i * 21, "font-size": fontSize.title }
    svg.append(element(document, "text", { ...at, ...semiBold }, line))
  })
  const content = element(document, "g", { transform: `translate(0,${top})` })
  for (const { x, y, text } of figure.headings ?? []) {
    content.append(element(document, "text", { x, y, "font-size": fontSize.heading + 1, ...semiBold }, text))
  }
  for (const panel of figure.panels) content.append(drawPanel(document, panel))
  svg.append(content)
  for (const node of svg.querySelectorAll("*")) {
    for (const name of geometry) {
      const value = node.getAttribute(name)
      if (value !== null) node.setAttribute(name, rounded(value))
    }
  }
  return `${svg.outerHTML}\n`
}
