import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { type ArmConfig, controlsOf, interventionOf } from "../../src/pipelines/Arms.ts"

const keepSed: ArmConfig = {
  arm: "keep-sed",
  version: "gradient",
  buffer: "natural",
  window: 64,
  rank: 5,
  warmup: 10,
}

describe("controls of an arm", () => {
  it("are a random subspace of the same rank and window, with and without its norm, and attention that does not move", () => {
    const controls = controlsOf(keepSed)
    assert.deepStrictEqual(Object.keys(controls), [
      "random subspace",
      "random subspace, natural norm",
      "frozen",
      "frozen after warm-up",
      "decay only",
      "noise",
    ])
    assert.deepInclude(controls["random subspace"], { arm: "keep-random", rank: 5, window: 64, warmup: 10 })
    assert.deepInclude(controls["random subspace, natural norm"], {
      arm: "keep-random-norm-matched",
      rank: 5,
    })
  })

  it("can all be run", () => {
    for (const arm of ["keep-sed", "keep-random", "remove-sed", "noise"] as const) {
      for (const control of Object.values(controlsOf({ ...keepSed, buffer: "modified", arm }))) {
        assert.isTrue(Result.isSuccess(interventionOf(control)), `${arm}: ${control.arm}`)
      }
    }
  })

  it("are the same computation for every rank where rank makes no difference", () => {
    const [one, many] = [1, 64].map((rank) => controlsOf({ ...keepSed, rank }))
    for (const name of ["frozen", "frozen after warm-up", "decay only", "noise"])
      assert.deepStrictEqual(one[name], many[name])
  })

  it("of a removed subspace are a random one that is removed", () => {
    assert.deepStrictEqual(Object.keys(controlsOf({ ...keepSed, arm: "remove-sed" })), ["random subspace"])
  })

  it("of controls are none", () => {
    assert.deepStrictEqual(controlsOf({ ...keepSed, arm: "frozen" }), {})
  })
})

describe("rank 0", () => {
  it("keeps nothing: weight decay alone moves attention", () => {
    const found = Result.getOrThrow(interventionOf({ ...keepSed, rank: 0 }))
    assert.deepStrictEqual(found, controlsOf(keepSed)["decay only"])
  })

  it("has no subspace to choose at random", () => {
    assert.notProperty(controlsOf({ ...keepSed, rank: 0 }), "random subspace")
  })

  it("is refused where nothing would be removed, and for updates", () => {
    for (const wrong of [{ arm: "remove-sed" }, { version: "update", buffer: "modified" }] as const)
      assert.isTrue(Result.isFailure(interventionOf({ ...keepSed, ...wrong, rank: 0 })))
  })
})
