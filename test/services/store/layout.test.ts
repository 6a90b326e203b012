import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  artifactPath,
  cursorPath,
  directories,
  entryName,
  type Place,
  placeOf,
  recordPath,
} from "../../../src/services/store/layout.ts"

const digest = fc
  .array(fc.constantFrom(..."0123456789abcdef"), { minLength: 64, maxLength: 64 })
  .map((digits) => digits.join(""))
const name = fc.record({ stage: fc.constantFrom("train", "rolling-svd", "a b"), key: digest })
const ref = fc.record({
  digest,
  format: fc.constantFrom("safetensors" as const, "parquet" as const, "json" as const),
})

describe("the place of a file", () => {
  it("is read from the path that was written for it", () => {
    fc.assert(
      fc.property(ref, name, fc.nat(200_000), (ref, of, position) => {
        assert.deepStrictEqual(placeOf(artifactPath(ref)), { _tag: "Artifact", ref })
        assert.deepStrictEqual(placeOf(recordPath(of)), { _tag: "Record", of })
        assert.deepStrictEqual(placeOf(`${cursorPath(of)}/${entryName(position)}`), { _tag: "Entry", of })
      }),
    )
  })

  const key = "ab".repeat(32)
  it.each<[string, Place | undefined]>([
    [`objects/ab/.${key}.json.12.0.3.tmp`, { _tag: "Temporary" }],
    [`pins/.${key}.json.12.0.3.tmp`, { _tag: "Temporary" }],
    [`quarantine/objects.ab.${key}.json`, { _tag: "Quarantined" }],
    [`quarantine/objects.ab.${key}.json.cause.json`, { _tag: "Quarantined" }],
    ["processes/0b5c-1.json", { _tag: "Sign", process: "0b5c-1" }],
    [`leases/${key}.0b5c-1.json`, { _tag: "Sign", process: "0b5c-1" }],
    ["slurm/0b5c-1/0/12.json", { _tag: "Sign", process: "0b5c-1" }],
    ["slurm/0b5c-1/0/12.answer.json", { _tag: "Sign", process: "0b5c-1" }],
    ["slurm/0b5c-1/0/12.log", undefined],
    [`pins/${key}.json`, undefined],
    ["runs/20260101T000000Z-1.ndjson", undefined],
    [`objects/cd/${key}.json`, undefined],
    [`objects/ab/${key}.csv`, undefined],
    [`objects/ab/${key}`, undefined],
    [`records/${key}.json`, undefined],
    [`records/train/${key}.json.bak`, undefined],
    [`cursors/train/${key}/notes.txt`, undefined],
    ["notes.txt", undefined],
    ["my.tmp", undefined],
  ])("%s", (path, place) => {
    assert.deepStrictEqual(placeOf(path), place)
  })

  it("is in a directory that is looked through", () => {
    for (const path of [
      artifactPath({ digest: key, format: "json" }),
      recordPath({ stage: "a", key }),
      cursorPath({ stage: "a", key }),
    ]) {
      assert.include(directories, path.split("/")[0])
    }
  })
})
