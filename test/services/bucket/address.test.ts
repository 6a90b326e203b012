import { homedir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { directoryOf, isAddress, nameOf, placeAt } from "../../../src/services/bucket/address.ts"

const mounts = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "grokscope", "s3")

describe("the address of a bucket", () => {
  it("stands for a directory of this machine's cache, and back", () => {
    for (const address of ["s3://lab", "s3://lab/grok", "s3://my.lab-2/a/b_c/v1.2"]) {
      const directory = directoryOf(address) ?? ""
      assert.strictEqual(directory, join(mounts, address.slice("s3://".length)))
      assert.strictEqual(nameOf(directory), address)
      assert.strictEqual(nameOf(join(directory, "records", "x.json")), `${address}/records/x.json`)
    }
    assert.deepStrictEqual(placeAt(join(mounts, "lab", "a", "b")), { bucket: "lab", key: "a/b" })
    assert.deepStrictEqual(placeAt(join(mounts, "lab")), { bucket: "lab", key: "" })
  })

  it("stands for the usual one where XDG_CACHE_HOME is relative, which its specification does not allow", () => {
    const before = process.env.XDG_CACHE_HOME
    process.env.XDG_CACHE_HOME = "cache"
    try {
      assert.strictEqual(directoryOf("s3://lab"), join(homedir(), ".cache", "grokscope", "s3", "lab"))
    } finally {
      if (before === undefined) delete process.env.XDG_CACHE_HOME
      else process.env.XDG_CACHE_HOME = before
    }
  })

  it("is nothing else", () => {
    const bad = ["s3:", "s3://", "s3://A/b", "s3://lab/a b", "s3://lab//a", "s3://lab/../a", "s3://lab/."]
    for (const address of [...bad, "s3://key:secret@lab/a", "s3://lab?x=1"]) {
      assert.isTrue(isAddress(address))
      assert.isUndefined(directoryOf(address), address)
    }
    for (const path of ["artifacts/store", "/tmp/s3", "s3", "./s3://lab"]) assert.isFalse(isAddress(path))
    for (const path of ["/tmp/store/objects", mounts, `${mounts}-other/lab`]) {
      assert.isUndefined(placeAt(path))
      assert.strictEqual(nameOf(path), path)
    }
  })
})
