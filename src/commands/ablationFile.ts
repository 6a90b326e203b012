/** An ablation in a YAML or JSON file: what it declares, and on which line. */
import { Effect, FileSystem, Path, Result } from "effect"
import { isCollection, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml"
import { type Misdeclared, type PlannedAblation, planAblation } from "../pipelines/planAblation.ts"
import type { Settings } from "../pipelines/Sweep.ts"
import type { Scale } from "../pipelines/scale.ts"
import { BadInput } from "./BadInput.ts"
import { oneLine } from "./oneLine.ts"

/** Characters; a declaration has a few hundred. */
const LONGEST = 100_000
/** Collections within one another; a declaration has three. */
const DEEPEST = 16

type Document = ReturnType<typeof parseDocument>
type Place = Misdeclared["path"]

/** Where in the text the value at `path` stands, or, if it is not there, what it is missing from. */
const offsetOf = (document: Document, path: Place): number => {
  let node: unknown = document.contents
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
  for (const key of path) {
    if (!isCollection(node)) break
    // A field is found by its name: that is where a person looks for it.
    const pair = isMap(node)
      ? node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
      : undefined
    const at = pair !== undefined && isScalar(pair.key) ? pair.key : node.get(key, true)
    if (isNode(at) && at.range) offset = at.range[0]
    node = node.get(key, true)
  }
  return offset
}

const depthOf = (node: unknown, depth = 0): number => {
  if (!isCollection(node) || depth > DEEPEST) return depth
  return Math.max(
    depth + 1,
    ...node.items.map((item) => depthOf(isPair(item) ? item.value : item, depth + 1)),
  )
}

/** A deep document would exhaust the parser's stack: brackets and indents are counted first. */
const isTooDeep = (text: string): boolean => {
  let open = 0
  for (const sign of text) {
    if (sign === "[" || sign === "{") open++
    if (sign === "]" || sign === "}") open--
    if (open > DEEPEST) return true
  }
  return /^(\s*- ){17}/m.test(text)
}

/** The planned ablation of a text, or `line: what is wrong`. */
export const readAblation = (
  text: string,
  name: string,
  scale: Scale,
  set: Settings = {},
): Result.Result<PlannedAblation, { readonly line: number; readonly message: string }> => {
  if (text.length > LONGEST) {
    return Result.fail({ line: 1, message: `Expected at most ${LONGEST} characters, got ${text.length}` })
  }
  if (isTooDeep(text)) return Result.fail({ line: 1, message: `nested deeper than ${DEEPEST}` })
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    resolveKnownTags: false,
    logLevel: "error",
  })
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line)
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) return Result.fail({ line: lineAt(problem.pos[0]), message: problem.message })
  if (depthOf(document.contents) > DEEPEST) {
    return Result.fail({ line: 1, message: `nested deeper than ${DEEPEST}` })
  }
  return Result.try({
    // Aliases could make a small file large.
    try: (): unknown => document.toJS({ maxAliasCount: 0 }),
    catch: (error) => ({ line: 1, message: oneLine(error) }),
  }).pipe(
    Result.flatMap((declared) =>
      Result.mapError(planAblation(name, declared, scale, set), ({ path, message }) => ({
        line: lineAt(offsetOf(document, path)),
        message:
          path.length === 0 || message.startsWith(String(path[0]))
            ? message
            : `${path.join(".")}: ${message}`,
      })),
    ),
  )
}

/** The ablation in a file, named after the file. */
export const ablationInFile = Effect.fn("ablationInFile")(function* (
  file: string,
  scale: Scale,
  set: Settings,
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { size } = yield* fs
    .stat(file)
    .pipe(Effect.mapError(({ reason }) => new BadInput({ message: `${file}: ${reason._tag}` })))
  if (Number(size) > 4 * LONGEST)
    return yield* new BadInput({ message: `${file}: too large for an ablation` })
  const text = yield* fs
    .readFileString(file)
    .pipe(Effect.mapError(({ reason }) => new BadInput({ message: `${file}: ${reason._tag}` })))
  const name = path.basename(file).replace(/\.[a-z]+$/, "")
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    return yield* new BadInput({
      message: `${file}: results are named after the file; expected letters, digits, dots and dashes, got ${JSON.stringify(name)}`,
    })
  }
  return yield* readAblation(text, name, scale, set).pipe(
    Result.mapError(({ line, message }) => new BadInput({ message: `${file}:${line}: ${message}` })),
    Effect.fromResult,
  )
})
