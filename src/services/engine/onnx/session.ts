/**
 * An engine on onnxruntime: programs are traced into ONNX graphs. A scan becomes an ONNX `Loop`, so a whole block of training
 * steps is one call with no JavaScript between steps. What executes them, a provider of onnxruntime, is a parameter.
 */
import { createRequire } from "node:module"
import { Effect, Schema } from "effect"
import { mapSignature, type Signature, type Values } from "../../../model/Program.ts"
import { CodeFingerprint, type FingerprintError } from "../../CodeFingerprint.ts"
import { EngineFailure, SignatureMismatch, TensorEngine, UnsupportedOp } from "../../TensorEngine.ts"
import { failureOf } from "../failure.ts"
import { checkValues, scanLength } from "../signature.ts"

const runtimeVersion = (): string =>
  Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))(
    createRequire(import.meta.url)("onnxruntime-node/package.json"),
  ).version

/** A version that tells onnxruntime's, a provider's and that of our own code in the import closure of a module. */
export const versionOf = (module: string, ...provider: ReadonlyArray<string>) =>
  Effect.map(CodeFingerprint, (fingerprint) =>
    Effect.map(fingerprint.of(module), (code) =>
      [`onnxruntime-node@${runtimeVersion()}`, ...provider, code.slice(0, 16)].join("+"),
    ),
  )

interface Feed {
  readonly dtype: "float32" | "int32" | "int64"
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array | Int32Array | BigInt64Array
}

/** What is fatal is said, by the error itself. */
const SILENT = 4

/** How an engine runs models. */
interface Options {
  /** Name of the engine. */
  readonly id: string
  readonly provider: "cpu" | "webgpu"
  /** Intra-operator threads of each session, on the CPU. */
  readonly threads: number
  /** What the provider needs a model to be made into. */
  readonly prepare?: (model: Uint8Array) => Uint8Array
}

const traceFailure =
  (engine: string, program: string, missingKernel: (cause: unknown) => string | undefined) =>
  (cause: unknown) => {
    const op = missingKernel(cause)
    if (op !== undefined) return new UnsupportedOp({ op, program, engine })
    return cause instanceof SignatureMismatch ? cause : new EngineFailure({ program, engine, cause })
  }

/** Opens a session on a model that `build` traces; the scope releases it. */
const openSession = Effect.fn("openSession")(function* (
  program: string,
  { id, provider, threads, prepare = (model) => model }: Options,
  build: (compiler: typeof import("./compile.ts")) => Uint8Array,
) {
  const failure = (cause: unknown) => failureOf({ engine: id, program, onGpu: provider !== "cpu" }, cause)
  const ort = yield* Effect.promise(() => import("onnxruntime-node"))
  const compiler = yield* Effect.promise(() => import("./compile.ts"))
  const { missingKernel } = yield* Effect.promise(() => import("./trace.ts"))
  const model = yield* Effect.try({
    try: () => prepare(build(compiler)),
    catch: traceFailure(id, program, missingKernel),
  })
  const session = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () =>
        ort.InferenceSession.create(model, {
          executionProviders: [provider],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          executionMode: "sequential",
          graphOptimizationLevel: "all",
          logSeverityLevel: SILENT,
        }),
      catch: failure,
    }),
    (session) => Effect.promise(() => session.release()),
  )
  return (feeds: Record<string, Feed>) =>
    Effect.tryPromise({
      try: () =>
        session.run(
          Object.fromEntries(
            Object.entries(feeds).map(([name, { dtype, shape, data }]) => [
              name,
              new ort.Tensor(dtype, data, shape),
            ]),
          ),
          { logSeverityLevel: SILENT },
        ),
      catch: failure,
    })
})

const feedsOf = <S extends Signature>(
  prefix: string,
  signature: S,
  values: Values<S>,
  leading: ReadonlyArray<number> = [],
): Record<string, Feed> =>
  Object.fromEntries(
    Object.entries(signature).map(([key, { dtype, shape }]) => [
      prefix + key,
      { dtype, shape: [...leading, ...shape], data: values[key] },
    ]),
  )

const valuesOf = <S extends Signature>(
  prefix: string,
  signature: S,
  results: Readonly<Record<string, { readonly data: unknown }>>,
): Values<S> =>
  // onnxruntime returns the element types that the model declares.
  mapSignature(signature, (key) => results[prefix + key].data) as Values<S>

/** @param version of the engine, part of every key; `options` are not, but for what its id and its version say of them */
export const onnxEngine = (options: Options, version: Effect.Effect<string, FingerprintError>) =>
  TensorEngine.of({
    id: options.id,
    version,
    compile: Effect.fn(`${options.id}.compile`)(function* (program) {
      const { name, inputs, outputs } = program
      const run = yield* openSession(name, options, ({ programModel }) => programModel(program))
      return {
        run: Effect.fn(`${options.id}.run ${name}`)(function* (values) {
          yield* checkValues(name, inputs, values)
          return valuesOf("out.", outputs, yield* run(feedsOf("in.", inputs, values)))
        }),
      }
    }),
    compileScan: Effect.fn(`${options.id}.compileScan`)(function* (scan) {
      const { name } = scan
      const run = yield* openSession(name, options, ({ scanModel }) => scanModel(scan))
      return {
        run: Effect.fn(`${options.id}.run ${name}`)(function* ({ carry, xs, constants }) {
          yield* checkValues(name, scan.carry, carry)
          yield* checkValues(name, scan.constants, constants)
          const length = yield* scanLength(name, scan.xs, xs)
          const results = yield* run({
            length: { dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(length)) },
            ...feedsOf("carry.", scan.carry, carry),
            ...feedsOf("xs.", scan.xs, xs, [length]),
            ...feedsOf("constants.", scan.constants, constants),
          })
          return {
            carry: valuesOf("out.carry.", scan.carry, results),
            ys: valuesOf("out.ys.", scan.ys, results),
          }
        }),
      }
    }),
  })
