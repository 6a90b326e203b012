import { assert, describe, it } from "@effect/vitest"
import { makeNearest } from "../../src/services/nearest.ts"

const stored = (name: string, input: unknown, code = "a") => ({ name, preimage: { code, input } })
const run = (digest: string) => ({ trajectory: { digest }, checkpoints: 41, stopStep: null })
const runPart = (awaited: boolean) => ({ path: "input.run", awaited })

describe("the nearest of what is stored", () => {
  const nearest = makeNearest([
    stored("newest", { run: run("1"), seed: 1, probe: { draws: 3, points: 9 } }),
    stored("one field", { run: run("1"), seed: 1, probe: { draws: 20, points: 9 } }),
    stored("other code", { run: run("1"), seed: 42, probe: { draws: 20, points: 9 } }, "b"),
    stored("other run", { run: { ...run("2"), checkpoints: 7 }, seed: 42, probe: { draws: 20, points: 9 } }),
  ])
  const probe = { draws: 20, points: 9 }
  const names = (found: ReturnType<typeof nearest>) => found.map(({ of, changed }) => `${of.name} ${changed}`)

  it("are those with the fewest changed fields; code counts as one, an upstream output as one, and order is kept", () => {
    const preimage = { code: "a", input: { run: run("1"), seed: 42, probe } }
    assert.deepStrictEqual(names(nearest({ preimage, parts: [runPart(false)] })), [
      "one field 1",
      "other code 1",
      "other run 1",
      "newest 2",
    ])
  })

  it("are found without what is awaited", () => {
    const preimage = { code: "a", input: { run: undefined, seed: 42, probe } }
    assert.deepStrictEqual(names(nearest({ preimage, parts: [runPart(true)] }))[0], "other run 0")
  })

  it("among equals are the preferred ones", () => {
    const preimage = { code: "a", input: { run: run("1"), seed: 42, probe } }
    const [first] = nearest({ preimage, parts: [runPart(false)] }, ({ name }) => name === "other run")
    assert.strictEqual(first.of.name, "other run")
  })
})
