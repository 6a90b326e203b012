/** Where the labels of an SVG lie, measured by resvg, and whether the text is XML, by a parser of its own. */
import { Resvg } from "@resvg/resvg-js"
import { DOMParser } from "linkedom"
import { font } from "../../src/figures/png.ts"

export interface Box {
  readonly text: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const open = (svg: string) => new DOMParser().parseFromString(svg, "image/svg+xml")

/** Throws unless resvg's parser, a strict one, takes the text for XML. */
export const parse = (svg: string) => {
  new Resvg(svg, { font })
  const document = open(svg)
  return {
    root: document.documentElement.localName,
    /** Of the first element of that name. */
    text: (name: string): string => document.querySelector(name)?.textContent ?? "",
    names: [...document.querySelectorAll("*")].map((element: { localName: string }) => element.localName),
  }
}

/** The ink of every label, in pixels of the whole picture: each is drawn by itself, within copies of its groups. */
export const labelBoxes = (svg: string): ReadonlyArray<Box> =>
  [...open(svg).querySelectorAll("text")].flatMap((label) => {
    let drawn: string = label.outerHTML
    for (let group = label.parentNode; group?.localName === "g"; group = group.parentNode) {
      drawn = `${group.cloneNode(false).outerHTML.replace(/\s*\/?>(<\/g>)?$/, ">")}${drawn}</g>`
    }
    const box = new Resvg(
      `<svg xmlns="http://www.w3.org/2000/svg" width="4000" height="4000" fill="black" color="black">${drawn}</svg>`,
      { font },
    ).getBBox()
    return box === undefined
      ? []
      : [{ text: label.textContent, x: box.x, y: box.y, width: box.width, height: box.height }]
  })

/** More than half a pixel in both directions. */
export const overlap = (a: Box, b: Box): boolean => {
  const slack = 0.5
  return (
    a.x + a.width > b.x + slack &&
    b.x + b.width > a.x + slack &&
    a.y + a.height > b.y + slack &&
    b.y + b.height > a.y + slack
  )
}
