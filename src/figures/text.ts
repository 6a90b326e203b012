/** How wide a text is, and how it breaks into lines: the advance widths of Inter Regular. */

/** Hundredths of an em of the characters 32 to 126. */
const asciiAdvance = [
  28, 29, 47, 63, 64, 98, 64, 30, 36, 36, 50, 66, 29, 46, 29, 36, 63, 41, 61, 62, 65, 59, 62, 57, 62, 62, 29,
  30, 66, 66, 66, 51, 97, 69, 65, 73, 72, 60, 59, 75, 74, 27, 57, 67, 57, 90, 75, 76, 64, 76, 64, 64, 65, 74,
  69, 99, 68, 68, 63, 36, 36, 36, 47, 46, 32, 56, 61, 57, 61, 58, 37, 61, 59, 24, 24, 55, 24, 88, 59, 60, 61,
  61, 38, 53, 33, 59, 56, 82, 55, 56, 55, 43, 33, 43, 66,
]

/** Of any other character: wider than most Greek letters, subscripts and signs. */
const otherAdvance = 80

/** Width in pixels at `size` pixels; an upper estimate for characters beyond ASCII. Semi-bold is some 6 % wider. */
export const textWidth = (text: string, size: number, semiBold = false): number => {
  let hundredths = 0
  for (const character of text) {
    if (/\p{Mark}/u.test(character)) continue
    const ascii = character === "\u00a0" ? 32 : (character.codePointAt(0) ?? 0)
    hundredths += asciiAdvance[ascii - 32] ?? otherAdvance
  }
  return (hundredths / 100) * size * (semiBold ? 1.06 : 1)
}

/** Breaks at `separator` into lines of at most `width` pixels; a longer piece has a line to itself. */
const fill = (pieces: ReadonlyArray<string>, width: number, size: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const piece of pieces) {
    if (line !== "" && textWidth((line + piece).trimEnd(), size) > width) {
      lines.push(line.trimEnd())
      line = ""
    }
    line += piece
  }
  return line.trimEnd() === "" ? lines : [...lines, line.trimEnd()]
}

/** The lines of a text no wider than `width` pixels, broken at spaces. */
export const wrap = (text: string, width: number, size: number): ReadonlyArray<string> =>
  fill(text.trim().split(/(?<= )/), width, size)

/** The lines of a name, such as that of an arm, broken after hyphens and spaces. */
export const wrapName = (name: string, width: number, size: number): ReadonlyArray<string> =>
  fill(name.split(/(?<=[- ])/), width, size)
