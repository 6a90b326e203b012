import { execFileSync } from "node:child_process"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryDirectory } from "../../store/temporary.ts"

const MODULE = fileURLToPath(new URL("../../../../src/services/engine/onnx/vulkan.ts", import.meta.url))

const node = (script: string, env: Readonly<Record<string, string>> = {}): string =>
  execFileSync(process.execPath, ["--eval", script], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  }).trim()

/** What a process finds whose linker looks into `folder` first. */
const isThere = (folder: string): string =>
  node(`import("${MODULE}").then(({ isVulkanThere }) => console.log(isVulkanThere()))`, {
    LD_LIBRARY_PATH: folder,
  })

/** A library that this process has loaded; any will do. */
const anyLibrary = (): string => {
  const { sharedObjects } = JSON.parse(node("console.log(JSON.stringify(process.report.getReport()))"))
  return sharedObjects.find((path: string) => /libstdc\+\+|libm\.so|libgcc/.test(path))
}

layer(NodeServices.layer)((it) => {
  const onLinux = process.platform === "linux" ? it.effect : it.effect.skip // elsewhere there is no loader to look for

  onLinux("Vulkan is there where the linker finds its loader", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryDirectory
      const known = execFileSync("/sbin/ldconfig", ["-p"], { encoding: "utf8" })
      assert.strictEqual(isThere(folder), String(known.includes("libvulkan.so.1")))
      copyFileSync(anyLibrary(), join(folder, "libvulkan.so.1"))
      assert.strictEqual(isThere(folder), "true")
    }),
  )
})
