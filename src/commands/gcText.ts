/** What a garbage collection says. */
import type { Account, Loss } from "../services/gc/account.ts"
import { duration } from "../services/progress/duration.ts"
import { bytesText } from "./byteSize.ts"

/** What a loss of each kind is called, one of them and many. */
const names: Readonly<Record<Loss["kind"], readonly [one: string, many: string]>> = {
  record: ["result", "results"],
  cursor: ["unfinished computation", "unfinished computations"],
  artifact: ["artifact of no result", "artifacts of no result"],
  temporary: ["broken-off write", "broken-off writes"],
  quarantined: ["file in quarantine", "files in quarantine"],
  process: ["trace of a dead process", "traces of dead processes"],
}

const counted = (count: number, kind: Loss["kind"]): string => {
  const [one, many] = names[kind]
  return `${count} ${count === 1 ? one : many}`
}

const line = (bytes: number, count: string, what: string, more = ""): string =>
  `  ${bytesText(bytes).padStart(9)}  ${count.padEnd(28)}${what}${more}`.trimEnd()

/** Files such as broken-off writes take no time. */
const again = (seconds: number): string => (seconds > 0 ? `  (${duration(seconds)} to compute again)` : "")

const sum = (losses: ReadonlyArray<Loss>, of: (loss: Loss) => number): number =>
  losses.reduce((total, loss) => total + of(loss), 0)

/** A line for each stage and kind, or for each single loss. */
const lossLines = (losses: ReadonlyArray<Loss>, all: boolean): ReadonlyArray<string> =>
  all
    ? losses.map(({ name, key, kind, bytes, seconds }) =>
        line(bytes, names[kind][0], `${name} ${key.slice(0, 12)}`.trim(), again(seconds)),
      )
    : [...Map.groupBy(losses, ({ stage, kind }) => `${stage}/${kind}`).values()].map((alike) => {
        const [{ stage, kind }] = alike
        const bytes = sum(alike, ({ bytes }) => bytes)
        const seconds = sum(alike, ({ seconds }) => seconds)
        return line(bytes, counted(alike.length, kind), stage, again(seconds))
      })

const keptLines = ({ runs, pins, processes }: Account["kept"]): ReadonlyArray<string> => [
  ...runs
    .filter(({ bytes }) => bytes > 0)
    .map(({ command, results, bytes }) => line(bytes, counted(results, "record"), command)),
  ...pins.map(({ name, key, because, results, bytes }) => {
    const count = results === 0 ? "not in the store" : counted(results, "record")
    const why = because === undefined ? "" : `, because ${because}`
    return line(bytes, count, `pinned: ${name} ${key.slice(0, 12)}`, why)
  }),
  ...(processes.bytes === 0
    ? []
    : [line(processes.bytes, counted(processes.results, "record"), "in use by running processes")]),
]

export const gcText = (
  { losses, bytes, seconds, kept }: Account,
  { dryRun, all }: { readonly dryRun: boolean; readonly all: boolean },
): string => {
  const garbage = losses.filter(({ wanted }) => !wanted)
  const wanted = losses.filter(({ wanted }) => wanted)
  const section = (title: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : [title, ...lines, ""]
  return [
    ...section(dryRun ? "would go:" : "gone:", lossLines(garbage, all)),
    ...section(dryRun ? "would go for want of room:" : "gone for want of room:", lossLines(wanted, all)),
    ...section("kept for:", keptLines(kept)),
    losses.length === 0
      ? `nothing ${dryRun ? "would go" : "to collect"}; ${bytesText(kept.bytes)} kept`
      : `${bytesText(bytes)} ${dryRun ? "would be freed" : "freed"} (${duration(seconds)} to compute again), ${bytesText(kept.bytes)} kept`,
  ].join("\n")
}
