/**
 * A digest of the code that computes something: the import closure of a module, bundled and minified, so that comments,
 * formatting, names of locals and code that is not used do not count and a changed helper does. Package imports count by name
 * and version.
 *
 * Services are left out of a stage's closure: they carry no science, and what they return is in the key by digest.
 */
import { createHash } from "node:crypto"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Context, Effect, Layer, Schema } from "effect"

export class FingerprintError extends Schema.TaggedError<FingerprintError>()("FingerprintError", {
  module: Schema.String,
  cause: Schema.Defect(),
}) {
  override get message() {
    return `cannot fingerprint the code of ${this.module}: ${String(this.cause)}`
  }
}

const require = createRequire(import.meta.url)

/** `name@version` of an imported package; Node's own modules count by name. */
const packageVersion = (specifier: string): string => {
  if (specifier.startsWith("node:")) return specifier
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
  const { dependencies } = require("../../package.json") as { dependencies: Record<string, string> }
  return `${name}@${dependencies[name] ?? "unlisted"}`
}

const bundle = async (path: string): Promise<string> => {
  const esbuild = await import("esbuild")
  const { outputFiles, metafile } = await esbuild.build({
    entryPoints: [path],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    packages: "external",
    external: ["../services/*"],
    logLevel: "silent",
  })
  const packages = Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter(({ path }) => !path.includes("services/"))
    .map(({ path }) => packageVersion(path))
  const hash = createHash("sha256")
  // Shortened apart from the bundle: short names depend on what a text holds, and that of the files holds unused code, too.
  for (const { text } of outputFiles) {
    hash.update((await esbuild.transform(text, { minify: true, format: "esm", target: "esnext" })).code)
  }
  return hash.update([...new Set(packages)].sort().join("\n")).digest("hex")
}

export class CodeFingerprint extends Context.Service<
  CodeFingerprint,
  {
    /** The digest of a module's import closure. `module` is its `import.meta.url`. */
    readonly of: (module: string) => Effect.Effect<string, FingerprintError>
  }
>()("grokscope/services/CodeFingerprint") {
  static readonly layer = Layer.sync(CodeFingerprint, () => {
    const known = new Map<string, Promise<string>>()
    return CodeFingerprint.of({
      of: (module) =>
        Effect.tryPromise({
          try: () => {
            const fingerprint = known.get(module) ?? bundle(fileURLToPath(module))
            known.set(module, fingerprint)
            return fingerprint
          },
          catch: (cause) => new FingerprintError({ module, cause }),
        }),
    })
  })
}
