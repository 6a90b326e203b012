/** What the sections of the page are made of: tables, disclosures, downloads, lists of terms. */
import { type Child, type Href, type Html, h } from "./html.ts"

/** What a name is in an id: no two names are the same. */
export const slug = (name: string): string =>
  name.replace(/[^a-zA-Z0-9.-]/gu, (character) => `_${(character.codePointAt(0) ?? 0).toString(16)}_`)

export interface Table {
  readonly caption: string
  readonly columns: ReadonlyArray<Child>
  /** The first of each names the row. */
  readonly rows: ReadonlyArray<ReadonlyArray<Child>>
  readonly class?: string
  /** Ids of rows, in order. */
  readonly ids?: ReadonlyArray<string>
}

/** A table that scrolls inside of itself where it is wider than the page, by the keyboard too. */
export const table = ({ caption, columns, rows, class: kind = "", ids = [] }: Table): Html =>
  h(
    "div",
    { class: "scroll", role: "region", "aria-label": `${caption} (table)`, tabindex: 0 },
    h(
      "table",
      { class: kind },
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)))),
      h(
        "tbody",
        {},
        ...rows.map(([head = "", ...cells], i) =>
          h(
            "tr",
            ids[i] === undefined ? {} : { id: ids[i] },
            h("th", { scope: "row" }, head),
            ...cells.map((cell) => h("td", {}, cell)),
          ),
        ),
      ),
    ),
  )

/** What is shown when it is asked for. A link to `id` opens it, for the id is on what is inside. */
export const disclosure = (summary: Child, content: Child, id?: string): Html =>
  h(
    "details",
    {},
    h("summary", {}, summary),
    h("div", { class: "disclosed", ...(id === undefined ? {} : { id }) }, content),
  )

export const terms = (entries: ReadonlyArray<readonly [term: Child, ...described: ReadonlyArray<Child>]>) =>
  h(
    "dl",
    {},
    ...entries.map(([term, ...described]) =>
      h("div", {}, h("dt", {}, term), ...described.map((one) => h("dd", {}, one))),
    ),
  )

export const list = (items: ReadonlyArray<Child>): Html =>
  h("ul", {}, ...items.map((item) => h("li", {}, item)))

const csvAddress = (csv: string): Href =>
  `data:text/csv;charset=utf-8,${encodeURI(csv.toWellFormed()).replaceAll("#", "%23")}`

const size = (bytes: number): string =>
  bytes < 1000
    ? `${bytes} bytes`
    : bytes < 1e6
      ? `${Math.round(bytes / 1000)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`

/** A link whose target is in the page itself. */
export const download = (name: string, csv: string): Html =>
  h(
    "a",
    { href: csvAddress(csv), download: name, class: "download" },
    `${name} (${size(new TextEncoder().encode(csv).length)})`,
  )

/** The first digits of a digest. */
export const short = (digest: string): string => digest.slice(0, 12)

/** `2026-11-24 18:16:29 UTC`. */
export const when = (time: string): Child => {
  const [, date, clock] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)[.\d]*Z$/.exec(time) ?? []
  return date === undefined ? time : h("time", { datetime: time }, `${date} ${clock} UTC`)
}

/** What a table or a sentence says of what older runs left out. */
export const UNRECORDED = "this run did not record it"
