import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { smokeScale } from "../../src/pipelines/paper.ts"
import { isUpToDate, Manifest } from "../../src/report/manifest.ts"
import { writeReport } from "../../src/report/write.ts"
import { sha256 } from "../../src/services/store/canonical.ts"
import { idle } from "../pipelines/idle.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { asPublished, rowsIn, tablesIn } from "./madeUp.ts"

const report = Effect.fn("report")(function* (directory: string) {
  yield* writeReport({
    directory,
    evidence: "smoke: not evidence",
    tables: yield* tablesIn(asPublished, smokeScale),
    claims: yield* rowsIn(asPublished, smokeScale),
    code: "some code",
  })
  const text = readFileSync(join(directory, "manifest.json"), "utf8")
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest))(text)
})

const provenance = { committedAt: "then", seconds: 1, machine: "here", node: process.version }

const inodes = (directory: string) =>
  filesBelow(directory)
    .filter((name) => name !== "manifest.json")
    .map((name) => [name, statSync(join(directory, name)).ino])

describe("the written report", () => {
  it.effect("lists every file with its digest, and touches none the second time", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const { files = {} } = yield* report(directory)
      const names = filesBelow(directory).filter((name) => name !== "manifest.json")
      assert.deepStrictEqual(Object.keys(files).sort(), [...names].sort())
      for (const name of names) assert.strictEqual(files[name], sha256(readFileSync(join(directory, name))))
      const before = inodes(directory)
      yield* report(directory)
      assert.deepStrictEqual(inodes(directory), before)
    }).pipe(Effect.provide(idle())),
  )

  it.effect("heals what was changed since, and drops what is not part of it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const { files } = yield* report(directory)
      const [png = ""] = filesBelow(directory).filter((name) => name.endsWith(".png"))
      for (const name of ["claims.json", "tables/runs.csv", png, png.replace("png", "svg")]) {
        writeFileSync(join(directory, name), "changed")
      }
      writeFileSync(join(directory, "figures", "former.svg"), "")
      const again = yield* report(directory)
      assert.deepStrictEqual(again.files, files)
      for (const name of filesBelow(directory).filter((name) => name !== "manifest.json")) {
        assert.strictEqual(sha256(readFileSync(join(directory, name))), files?.[name], name)
      }
      assert.isFalse(existsSync(join(directory, "figures", "former.svg")))
    }).pipe(Effect.provide(idle())),
  )

  it.effect("keeps what the computing process cost when a later one only finds its results", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const manifest = yield* report(directory)
      const process = { ...manifest.process, wallMinutes: 75, computed: 679 }
      writeFileSync(join(directory, "manifest.json"), JSON.stringify({ ...manifest, process }))
      assert.deepStrictEqual((yield* report(directory)).process, process)
      const stages = [{ label: "train", key: "k", seconds: 1, committedAt: "", machine: "another run's" }]
      writeFileSync(join(directory, "manifest.json"), JSON.stringify({ ...manifest, process, stages }))
      assert.notDeepEqual((yield* report(directory)).process, process)
    }).pipe(Effect.provide(idle())),
  )

  it.effect("is up to date until its code, its words or a file of it is another", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const made = { evidence: "smoke: not evidence", code: "some code", history: [] }
      assert.isFalse(yield* isUpToDate(directory, made))
      yield* report(directory)
      assert.isTrue(yield* isUpToDate(directory, made))
      assert.isFalse(yield* isUpToDate(directory, { ...made, code: "other code" }))
      assert.isFalse(yield* isUpToDate(directory, { ...made, evidence: "the paper's sizes" }))
      const ran = {
        label: "train",
        stage: "train",
        key: "k",
        cached: true,
        code: "c",
        artifacts: [],
        provenance,
      }
      assert.isFalse(yield* isUpToDate(directory, { ...made, history: [ran] }))
      for (const name of ["claims.json", "tables/runs.csv", "figures/peaks.png"]) {
        writeFileSync(join(directory, name), "changed")
        assert.isFalse(yield* isUpToDate(directory, made), name)
        yield* report(directory)
        assert.isTrue(yield* isUpToDate(directory, made), name)
      }
    }).pipe(Effect.provide(idle())),
  )
})
