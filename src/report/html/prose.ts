/** The little Markdown that findings are written in, as HTML: paragraphs, `**strong**` and `` `code` ``. */
import { type Child, type Html, h } from "./html.ts"

const piece = (text: string): Child => {
  const [, strong] = /^\*\*(.+)\*\*$/s.exec(text) ?? []
  if (strong !== undefined) return h("strong", {}, strong)
  const [, code] = /^`(.+)`$/s.exec(text) ?? []
  return code === undefined ? text : h("code", {}, code)
}

export const prose = (markdown: string): ReadonlyArray<Html> =>
  markdown
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== "")
    .map((paragraph) => h("p", {}, paragraph.split(/(\*\*.+?\*\*|`[^`]+`)/s).map(piece)))
