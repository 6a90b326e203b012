import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { addressText, parseAddress, passwordIn } from "../../../src/services/remote/database.ts"

const address = { host: "db.example", port: 5432, database: "grokscope", username: "lab", tls: false }

describe("the address of a cluster", () => {
  it.effect.each([
    { text: "postgres://lab@db.example/grokscope", expected: address },
    { text: "postgresql://lab@db.example:6000/grokscope", expected: { ...address, port: 6000 } },
    { text: "postgres://lab@[::1]/grokscope", expected: { ...address, host: "::1" } },
    { text: "postgres://a%40b@db.example/x%2Fy", expected: { ...address, username: "a@b", database: "x/y" } },
    { text: "postgres://lab@db.example/grokscope?sslmode=verify-full", expected: { ...address, tls: true } },
  ])("$text", ({ text, expected }) =>
    Effect.map(parseAddress(text), (actual) => assert.deepStrictEqual(actual, expected)),
  )

  it.effect.each([
    { text: "", because: "it is no URL" },
    { text: "db.example/grokscope", because: "it is no URL" },
    { text: "mysql://lab@db.example/grokscope", because: "it is no postgres:// URL" },
    { text: "postgres://lab:secret@db.example/grokscope", because: "it contains a password" },
    { text: "postgres://lab@db.example", because: "it names no host or no database" },
    { text: "postgres://lab@db.example/grokscope?sslmode=require", because: "its sslmode is neither" },
    { text: "postgres://lab@db.example/grokscope?password=secret", because: "it has the parameter password" },
  ])("is refused: $text", ({ text, because }) =>
    Effect.map(Effect.flip(parseAddress(text)), ({ message }) => {
      assert.include(message, because)
      assert.include(message, "expected postgres://USER@HOST:PORT/DATABASE")
      assert.notInclude(message, "secret")
    }),
  )

  it.effect.each([
    address,
    { ...address, host: "::1", port: 6000 },
    { ...address, username: "a@b", database: "x/y", tls: true },
  ])("is shown as it is read: %o", (one) =>
    Effect.map(parseAddress(addressText(one)), (again) => assert.deepStrictEqual(again, one)),
  )
})

describe("a password file", () => {
  it.each([
    { line: "db.example:5432:grokscope:lab:word", found: "word" },
    { line: "*:*:*:lab:word", found: "word" },
    { line: "*:*:*:*:a\\:b\\\\c", found: "a:b\\c" },
    { line: "# *:*:*:*:word", found: undefined },
    { line: "db.example:5433:grokscope:lab:word", found: undefined },
    { line: "other:*:*:*:word", found: undefined },
    { line: "", found: undefined },
  ])("$line", ({ line, found }) => {
    const text = `localhost:*:*:*:no\n${line}\n`
    assert.strictEqual(Option.getOrUndefined(passwordIn(text, address)), found)
  })

  it("counts from its first line that matches", () => {
    const text = "*:*:*:lab:first\ndb.example:*:*:lab:second"
    assert.deepStrictEqual(passwordIn(text, address), Option.some("first"))
  })
})
