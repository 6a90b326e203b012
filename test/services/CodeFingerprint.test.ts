import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CodeFingerprint, FingerprintError } from "../../src/services/CodeFingerprint.ts"
import { importClosure } from "./importClosure.ts"
import { temporaryDirectory } from "./store/temporary.ts"

const src = join(import.meta.dirname, "../../src")

/** Reads the files anew: the service remembers what it has seen, as a process does. */
const fingerprint = (file: string) =>
  Effect.flatMap(CodeFingerprint, ({ of }) => of(pathToFileURL(file).href)).pipe(
    Effect.provide(Layer.fresh(CodeFingerprint.layer)),
  )

const files = {
  "stages/square.ts": `/** A stage. */
import { table } from "arquero"
import { square } from "../numerics/square.ts"
import { put } from "../services/put.ts"

interface Input {
  readonly values: ReadonlyArray<number>
}

// What it does.
export const run = ({ values }: Input) => put(table({ squares: values.map(square) }))
`,
  "numerics/square.ts": `import { times } from "./times.ts"

export const square = (x: number): number => times(x, x)
export const cube = (x: number): number => times(square(x), x)
`,
  "numerics/times.ts": "export const times = (x: number, y: number): number => x * y\n",
  "numerics/unrelated.ts": "export const half = (x: number): number => x / 2\n",
  "services/put.ts": "export const put = (value: unknown): unknown => value\n",
}

const write = (root: string, contents: Readonly<Record<string, string>>) => {
  for (const [file, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
}

/** The fingerprints of a small project before and after an edit. */
const edited = Effect.fn("edited")(function* (file: keyof typeof files, edit: (text: string) => string) {
  const root = yield* temporaryDirectory
  write(root, files)
  const stage = join(root, "stages/square.ts")
  const before = yield* fingerprint(stage)
  const text = edit(files[file])
  assert.notStrictEqual(text, files[file])
  write(root, { [file]: text })
  return { before, after: yield* fingerprint(stage) }
})

type Edit = readonly [what: string, file: keyof typeof files, edit: (text: string) => string]

describe("a fingerprint", () => {
  const without: ReadonlyArray<Edit> = [
    [
      "a comment",
      "stages/square.ts",
      (text) => text.replace("// What it does.", "// Another thing.\n/* Twice. */"),
    ],
    ["a comment in a helper", "numerics/times.ts", (text) => `/** The product. */\n${text}`],
    [
      "a helper that is not used, in a file that is",
      "numerics/times.ts",
      (text) => `${text}export const quizzicalJigsaw = (zzzz: number): number => zzzz ** zzzz\n`,
    ],
    ["formatting", "stages/square.ts", (text) => text.replaceAll("\n", "\n\n").replaceAll("  ", "\t")],
    ["line endings", "numerics/square.ts", (text) => text.replaceAll("\n", "\r\n")],
    ["a type", "stages/square.ts", (text) => text.replace("ReadonlyArray<number>", "Array<number>")],
    ["the name of a local", "numerics/times.ts", (text) => text.replaceAll(/\bx\b/g, "factor")],
    ["a file that it does not import", "numerics/unrelated.ts", (text) => text.replace("/ 2", "/ 3")],
    [
      "a function of a helper that it does not use",
      "numerics/square.ts",
      (text) => text.replace("square(x), x)", "x, x)"),
    ],
    ["a service", "services/put.ts", (text) => text.replace("=> value", "=> [value]")],
  ]
  it.effect.each(without)("does not see a change of %s", ([, file, edit]) =>
    Effect.gen(function* () {
      const { before, after } = yield* edited(file, edit)
      assert.strictEqual(after, before)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  const within: ReadonlyArray<Edit> = [
    ["the stage", "stages/square.ts", (text) => text.replace("squares:", "square:")],
    ["a helper", "numerics/square.ts", (text) => text.replace("times(x, x)", "times(x, 1)")],
    ["a helper of a helper", "numerics/times.ts", (text) => text.replace("x * y", "x + y")],
    ["a constant", "numerics/times.ts", (text) => text.replace("x * y", "x * y * 1.0000001")],
    ["a side effect of a helper", "numerics/times.ts", (text) => `${text}globalThis.name = "times"\n`],
    ["a package that it imports", "stages/square.ts", (text) => text.replace('"arquero"', '"ml-matrix"')],
    ["a service that it imports", "stages/square.ts", (text) => text.replace("put.ts", "get.ts")],
  ]
  it.effect.each(within)("sees a change of %s", ([, file, edit]) =>
    Effect.gen(function* () {
      const { before, after } = yield* edited(file, edit)
      assert.notStrictEqual(after, before)
      assert.match(after, /^[0-9a-f]{64}$/)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect("is the same wherever the project lies", () =>
    Effect.gen(function* () {
      const roots = [yield* temporaryDirectory, join(yield* temporaryDirectory, "another", "name")]
      const fingerprints = yield* Effect.forEach(roots, (root) => {
        write(root, files)
        return fingerprint(join(root, "stages/square.ts"))
      })
      assert.strictEqual(fingerprints[0], fingerprints[1])
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect("of code that is missing or does not parse is an error that names it", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      write(root, { "broken.ts": "export const = 1" })
      for (const name of ["missing.ts", "broken.ts"]) {
        const error = yield* Effect.flip(fingerprint(join(root, name)))
        assert.instanceOf(error, FingerprintError)
        assert.include(error.message, name)
      }
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})

const stagesOf = (root: string) =>
  readdirSync(join(root, "stages"))
    .map((name) => join(root, "stages", name))
    .filter((file) => /= stage\(/.test(readFileSync(file, "utf8")))

const fingerprintsOf = (root: string) =>
  Effect.forEach(
    stagesOf(root),
    (file) => Effect.map(fingerprint(file), (code) => [basename(file), code] as const),
    {
      concurrency: "unbounded",
    },
  ).pipe(Effect.map(Object.fromEntries<string>))

/** Of what else is in keys: codecs and engine. */
const OTHERS = ["formats/safetensors.ts", "formats/parquet.ts", "engine/onnx/OnnxEngine.ts"]

const allFingerprintsOf = (root: string) =>
  Effect.all([
    fingerprintsOf(root),
    Effect.forEach(OTHERS, (file) => fingerprint(join(root, "services", file))),
  ])

/** A copy of the sources to edit. */
const copiedSources = Effect.map(temporaryDirectory, (directory) => {
  const root = join(directory, "src")
  cpSync(src, root, { recursive: true })
  return root
})

describe("the stages of this project", () => {
  it.effect("have distinct fingerprints, which do not depend on where they lie", () =>
    Effect.gen(function* () {
      const here = yield* fingerprintsOf(src)
      assert.isAtLeast(Object.keys(here).length, 6)
      assert.strictEqual(new Set(Object.values(here)).size, Object.keys(here).length)
      assert.deepStrictEqual(yield* fingerprintsOf(yield* copiedSources), here)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect("keep theirs when every file is touched, and when every file gets a comment", () =>
    Effect.gen(function* () {
      const root = yield* copiedSources
      const before = yield* allFingerprintsOf(root)
      const sources = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
        file.endsWith(".ts"),
      )
      assert.isAbove(sources.length, 100)
      for (const file of sources) utimesSync(join(root, file), new Date(), new Date())
      assert.deepStrictEqual(yield* allFingerprintsOf(root), before)
      for (const file of sources) {
        const text = readFileSync(join(root, file), "utf8")
        writeFileSync(join(root, file), `/* Above. */\n${text}\n// Below.\n`)
      }
      assert.deepStrictEqual(yield* allFingerprintsOf(root), before)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect(
    "change theirs with a numeric helper, and with no other",
    () =>
      Effect.gen(function* () {
        const root = yield* copiedSources
        const before = yield* fingerprintsOf(root)
        for (const name of readdirSync(join(root, "numerics"))) {
          const helper = join(root, "numerics", name)
          const text = readFileSync(helper, "utf8")
          writeFileSync(helper, `${text}\nglobalThis.edited = true\n`)
          const after = yield* fingerprintsOf(root)
          writeFileSync(helper, text)
          assert.deepStrictEqual(
            Object.keys(before).filter((stage) => after[stage] !== before[stage]),
            stagesOf(root)
              .filter((stage) => importClosure(stage).has(helper))
              .map((stage) => basename(stage)),
            name,
          )
        }
      }).pipe(Effect.provide(NodeServices.layer)),
    120_000,
  )

  it.effect("keep theirs when services, pipelines and commands change", () =>
    Effect.gen(function* () {
      const root = yield* copiedSources
      const before = yield* fingerprintsOf(root)
      const outside = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
        /^(services|pipelines|commands)\/.*\.ts$/.test(file),
      )
      assert.isAbove(outside.length, 20)
      for (const file of outside) appendFileSync(join(root, file), "\nglobalThis.edited = true\n")
      assert.deepStrictEqual(yield* fingerprintsOf(root), before)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect("change theirs with the model that they compute", () =>
    Effect.gen(function* () {
      const root = yield* copiedSources
      const before = yield* fingerprintsOf(root)
      const transformer = join(root, "model", "transformer.ts")
      writeFileSync(transformer, `${readFileSync(transformer, "utf8")}\nglobalThis.edited = true\n`)
      const after = yield* fingerprintsOf(root)
      for (const name of ["train.ts", "captureGradients.ts", "measureNull.ts", "measureCoupling.ts"]) {
        assert.notStrictEqual(after[name], before[name], name)
      }
      assert.strictEqual(after["generateData.ts"], before["generateData.ts"])
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  // A stage's file holds its schemas and its computation, and a stage that takes its output imports both. Drop
  // `fails` when schemas can be imported without the computation.
  it.effect("do not see how another stage computes, only what it returns", () =>
    Effect.gen(function* () {
      const root = yield* copiedSources
      const before = yield* fingerprintsOf(root)
      const capture = join(root, "stages", "captureGradients.ts")
      const text = readFileSync(capture, "utf8")
      const changed = text.replace('unit: "gradient"', 'unit: "checkpoint"')
      assert.notStrictEqual(changed, text)
      writeFileSync(capture, changed)
      const after = yield* fingerprintsOf(root)
      const edited = Object.keys(before).filter((name) => after[name] !== before[name])
      assert.deepStrictEqual(edited, ["captureGradients.ts"])
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})
