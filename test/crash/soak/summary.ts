/** One line for each part, when all have run. */
import { type Reliability, read } from "./figures.ts"

const lineOf = ([name, part]: readonly [string, NonNullable<Reliability["kill"]>]): ReadonlyArray<string> => [
  `${name.padEnd(11)} ${part.summary}; ${Math.round(part.seconds)} s${part.share < 1 ? `, share ${part.share}` : ""}`,
  ...part.skipped.map(({ what, because }) => `${"".padEnd(11)} skipped ${what}: ${because}`),
]

export const setup = () => {
  const started = new Date().toISOString()
  return () => {
    const ran = Object.entries(read()).filter(([, { date }]) => date >= started)
    console.log(["", ...ran.flatMap(lineOf), ""].join("\n"))
  }
}
