/** Runs the blocks of docs/python.md on real results. `PYTHON` names the interpreter; a block whose packages it lacks is skipped. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { settings, tiny } from "../pipelines/tiny.ts"

const repository = join(import.meta.dirname, "../..")
const { PYTHON = "python3" } = process.env
const text = readFileSync(join(repository, "docs/python.md"), "utf8")
const blocks = [...text.matchAll(/^```python\n(.*?)^```$/gms)].map(([, code]) => code)

/** A directory with what the committed one has, and a store of a tiny run, which is exported too. */
const root = mkdtempSync(join(tmpdir(), "grokscope-test-python-"))
const cli = (...args: ReadonlyArray<string>) => {
  const { status, stderr } = spawnSync(process.execPath, [join(repository, "src/main.ts"), ...args], {
    cwd: root,
    encoding: "utf8",
  })
  assert.strictEqual(status, 0, stderr)
}
const python = (code: string) => spawnSync(PYTHON, ["-c", code], { cwd: root, encoding: "utf8" })

beforeAll(() => {
  cli("run", "single", "--scale", "smoke", ...settings(tiny).flatMap((field) => ["--set", field]))
  cli("export", "train", "--out", "results.tar")
  for (const name of ["paper", "ablations"])
    symlinkSync(join(repository, "artifacts", name), join(root, "artifacts", name))
}, 120_000)

afterAll(() => rmSync(root, { recursive: true, force: true }))

describe("docs/python.md", () => {
  it.for(blocks)("block %$", (code, { skip }) => {
    const { status, error, stderr } = python(code)
    const missing = error?.message ?? /(?:ModuleNotFound|Import)Error: [^\n]+/.exec(stderr)?.[0]
    if (missing !== undefined) return skip(missing)
    assert.strictEqual(status, 0, stderr)
  })
})
