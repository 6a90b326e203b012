/**
 * Builds the addon of `@tensorflow/tfjs-node-gpu` against a TensorFlow that Python has installed.
 *
 * The package's own install script downloads TensorFlow 2.9 with CUDA 11.2, which knows no GPU of the last years. Its addon needs
 * only TensorFlow's C API, whose headers and libraries every wheel contains: compiling two files takes seconds. What is built is
 * tried in a process of its own before it takes its place, so what was there before stays until something better is there.
 */
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { DateTime, Effect, FileSystem, Option, Schema, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { parseJson } from "../../formats/json.ts"
import { addonIn, folder, PACKAGE, packageDirectory, packageVersion } from "./binding.ts"

/** A step of the set-up failed; `message` says which, why, and what to do next. */
export class SetUpFailed extends Schema.TaggedError<SetUpFailed>()("SetUpFailed", {
  message: Schema.String,
}) {}

const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const
const INSTALL = "pip install tensorflow, or tensorflow[and-cuda] for NVIDIA's GPUs"
/** Version of Node-API that the addon asks for. */
const NAPI_VERSION = 8
const TRIAL = fileURLToPath(new URL("./trial.ts", import.meta.url))

/** What a process says on standard output, the end of what it says on standard error, and its exit code. */
const run = Effect.fn("run")(function* (command: string, ...args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const child = yield* spawner.spawn(ChildProcess.make(command, args))
  const textOf = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream))
  const [out, error, code] = yield* Effect.all([textOf(child.stdout), textOf(child.stderr), child.exitCode], {
    concurrency: "unbounded",
  })
  return { out: out.trim(), error: error.trim().split("\n").slice(-3).join(" | "), code: Number(code) }
}, Effect.scoped)

/** The directory of TensorFlow that a Python interpreter would import, without importing it. */
const tensorflowOf = Effect.fn("tensorflowOf")(function* (python: string) {
  const script =
    "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')"
  const { out, error, code } = yield* run(python, "-c", script).pipe(
    Effect.mapError(
      () =>
        new SetUpFailed({
          message: `--tensorflow: ${python} does not start; give a Python interpreter, its environment, or the folder of TensorFlow`,
        }),
    ),
  )
  if (code !== 0) return yield* new SetUpFailed({ message: `--tensorflow: ${python} fails: ${error}` })
  if (out === "")
    return yield* new SetUpFailed({
      message: `${python} has no TensorFlow; ${INSTALL}, into its environment`,
    })
  return out
})

/** Headers and libraries of a wheel, unpacked beside what is built of them. */
const unpacked = Effect.fn("unpacked")(function* (wheel: string) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* fs.exists(wheel)))
    return yield* new SetUpFailed({ message: `--tensorflow ${wheel}: there is no such file` })
  const directory = join(yield* folder, basename(wheel, ".whl"))
  yield* fs.makeDirectory(directory, { recursive: true })
  const script = `
import sys, zipfile
wanted = ("tensorflow/include/", *("tensorflow/" + name for name in sys.argv[3:]))
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(wanted)])`
  const { code, error } = yield* run("python3", "-c", script, wheel, directory, ...LIBRARIES)
  if (code !== 0)
    return yield* new SetUpFailed({ message: `--tensorflow ${wheel} cannot be unpacked: ${error}` })
  return join(directory, "tensorflow")
})

/** The directory of TensorFlow that is meant: by itself, by its environment or by the environment's interpreter. */
const locate = Effect.fn("locate")(function* (given: Option.Option<string>) {
  const fs = yield* FileSystem.FileSystem
  if (Option.isNone(given)) return yield* tensorflowOf("python3")
  const path = given.value
  if (path.endsWith(".whl")) return yield* unpacked(path)
  if (yield* fs.exists(join(path, LIBRARIES[0]))) return path
  const interpreter = join(path, "bin", "python")
  return yield* tensorflowOf((yield* fs.exists(interpreter)) ? interpreter : path)
})

/** The C++ compiler: `CXX`, or the first of the usual ones that starts. */
const compiler = Effect.gen(function* () {
  const { CXX } = process.env
  for (const name of CXX === undefined ? ["g++", "clang++", "c++"] : [CXX]) {
    const version = yield* Effect.option(run(name, "--version"))
    if (Option.isSome(version) && version.value.code === 0) return name
  }
  return yield* new SetUpFailed({
    message: `there is no C++ compiler (${CXX ?? "g++, clang++, c++"}); apt install g++, or set CXX`,
  })
})

/** Node's own headers, which come with it. */
const headers = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const home = dirname(dirname(yield* fs.realPath(process.execPath)))
  const candidates = [
    join(home, "include", "node"),
    join(home, "node_modules", `node-linux-${process.arch}`, "include", "node"),
  ]
  for (const directory of candidates) if (yield* fs.exists(join(directory, "node_api.h"))) return directory
  return yield* new SetUpFailed({
    message: `Node's headers are not in ${candidates[0]}; run with a Node that has them, such as the one of pnpm install`,
  })
})

const Trial = Schema.Struct({ tensorflow: Schema.String, gpu: Schema.Boolean })

/** Builds the addon, tries it, and puts it in its place. `say` is told each step. */
export const setUp = Effect.fn("setUp")(function* (
  given: Option.Option<string>,
  say: (line: string) => Effect.Effect<void>,
) {
  const fs = yield* FileSystem.FileSystem
  const sources = yield* packageDirectory
  if (Option.isNone(sources)) {
    return yield* new SetUpFailed({
      message: `${PACKAGE} is not installed; it is an optional dependency: pnpm install, without --no-optional`,
    })
  }
  if (process.platform !== "linux") {
    return yield* new SetUpFailed({
      message: `only Linux is known to work, this is ${process.platform}; --engine onnx works everywhere`,
    })
  }
  const tensorflow = yield* locate(given)
  const needed = [...LIBRARIES, join("include", "tensorflow", "c", "eager", "c_api.h")]
  for (const file of needed) {
    if (!(yield* fs.exists(join(tensorflow, file)))) {
      return yield* new SetUpFailed({
        message: `${tensorflow} has no ${file}: expected TensorFlow 2.10 or later as pip installs it; ${INSTALL}`,
      })
    }
  }
  const cxx = yield* compiler
  const include = yield* headers
  const directory = yield* folder
  yield* fs.makeDirectory(directory, { recursive: true })
  const built = yield* fs.makeTempFileScoped({ directory, prefix: "build-", suffix: ".node" })

  yield* say(`compiling against ${tensorflow} with ${cxx} (some 10 s)`)
  const compiled = yield* run(
    cxx,
    ...["-O2", "-std=c++17", "-fPIC", "-shared", `-DNAPI_VERSION=${NAPI_VERSION}`],
    ...[sources.value, include, join(tensorflow, "include")].map((path) => `-I${path}`),
    ...["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(sources.value, "binding", file)),
    ...[`-L${tensorflow}`, ...LIBRARIES.map((library) => `-l:${library}`), `-Wl,-rpath,${tensorflow}`],
    ...["-o", built],
  )
  if (compiled.code !== 0) {
    return yield* new SetUpFailed({ message: `${cxx} cannot compile the addon: ${compiled.error}` })
  }

  yield* say("trying it: loads, multiplies, agrees")
  const tried = yield* run(process.execPath, TRIAL, built)
  if (tried.code !== 0) {
    return yield* new SetUpFailed({
      message: `what was built does not work (exit code ${tried.code}): ${tried.error}`,
    })
  }
  const trial = yield* Effect.fromResult(parseJson(tried.out)).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Trial)),
    Effect.mapError(
      () => new SetUpFailed({ message: `what was built does not work: it says ${tried.out.slice(0, 200)}` }),
    ),
  )
  // For people: what was built, from what.
  const note = {
    tensorflow: trial.tensorflow,
    libraries: tensorflow,
    package: yield* packageVersion,
    node: process.version,
    at: DateTime.formatIso(yield* DateTime.now),
  }
  yield* fs.writeFileString(join(directory, "built.json"), `${JSON.stringify(note, null, 2)}\n`)
  yield* fs.rename(built, addonIn(directory))
  return { ...trial, directory }
}, Effect.scoped)

/** Takes back what {@link setUp} did; whether there was anything. */
export const undo = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* folder
  if (!(yield* fs.exists(directory))) return { directory, undone: false }
  yield* fs.remove(directory, { recursive: true })
  return { directory, undone: true }
})
