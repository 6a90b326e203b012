import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Layout, makeLayout, pack, unpack, view } from "../../src/model/layout.ts"
import { f32, program, sizeOf } from "../../src/model/Program.ts"
import { assertSameBits } from "./close.ts"
import golden from "./golden/init.json" with { type: "json" }
import { eager, multitaskPaperLayout, noise, paperLayout, run, smallLayout } from "./samples.ts"

const layouts = [1, 2, 3].map((layers) => smallLayout(layers)).concat(smallLayout(2, 3), paperLayout)

describe("the layout of the paper's model", () => {
  it("has 290,401 parameters, of which 131,072 are attention weights", () => {
    assert.strictEqual(paperLayout.size, 290_401)
    assert.strictEqual(paperLayout.attentionSize, 131_072)
  })

  it("has the names and shapes of the PyTorch modules", () => {
    const ours = paperLayout.parameters.map(({ name, shape }) => [name, shape])
    const theirs = Object.entries(golden.parameters).map(([name, { shape }]) => [name, shape])
    assert.sameDeepMembers(ours, theirs)
  })
})

describe("the layout of the paper's multitask model", () => {
  it("has 327,940 parameters, of which 131,072 are attention weights", () => {
    assert.strictEqual(multitaskPaperLayout.size, 327_940)
    assert.strictEqual(multitaskPaperLayout.attentionSize, 131_072)
  })

  it("is that of one task but for the read-out, whose four heads are stacked", () => {
    const trunk = ({ parameters }: Layout) => parameters.filter(({ name }) => !name.startsWith("head."))
    assert.deepStrictEqual(trunk(multitaskPaperLayout), trunk(paperLayout))
    const shapes = multitaskPaperLayout.parameters.slice(-2).map(({ name, shape }) => [name, shape])
    assert.deepStrictEqual(shapes, [
      ["head.weight", [4 * 97, 128]],
      ["head.bias", [4 * 97]],
    ])
  })
})

describe.each(layouts)(
  "a layout of $shape.layers layers, $shape.tasks tasks, $shape.width wide",
  (layout) => {
    it("tiles the vector: every parameter begins where the one before it ends", () => {
      let end = 0
      for (const { offset, size, shape } of layout.parameters) {
        assert.strictEqual(offset, end)
        assert.strictEqual(size, sizeOf(shape))
        end += size
      }
      assert.strictEqual(end, layout.size)
    })

    it("begins with the attention weights, biases excluded", () => {
      const isAttentionWeight = (name: string) => /self_attn\.(in_proj_weight|out_proj\.weight)$/.test(name)
      for (const { name, offset, size } of layout.parameters) {
        assert.strictEqual(offset + size <= layout.attentionSize, isAttentionWeight(name), name)
      }
      const { width, layers } = layout.shape
      assert.strictEqual(layout.attentionSize, layers * 4 * width * width)
    })
  },
)

it("a layout depends on the number of heads in nothing but its shape", () => {
  const { shape } = paperLayout
  const { parameters, size } = makeLayout({ ...shape, heads: 8 })
  assert.deepStrictEqual({ parameters, size }, { parameters: paperLayout.parameters, size: paperLayout.size })
})

it("a view shows one parameter of the vector and shares its memory", () => {
  const [layout] = layouts
  const theta = noise(1, layout.size)
  const parameter = layout.parameters[3]
  const values = view(theta, parameter)
  assert.strictEqual(values.length, parameter.size)
  values.fill(7)
  assert.strictEqual(theta[parameter.offset - 1], noise(1, layout.size)[parameter.offset - 1])
  assert.strictEqual(theta[parameter.offset], 7)
})

layer(eager)("unpack", (it) => {
  it.effect.each(layouts)("is undone by pack", (layout) =>
    Effect.gen(function* () {
      const vector = f32(layout.size)
      const roundTrip = program({
        name: "round trip",
        inputs: { theta: vector },
        outputs: { theta: vector },
        body: ({ theta }) => {
          const parameters = unpack(layout, theta)
          return { theta: pack(layout.parameters.map(({ name }) => parameters[name])) }
        },
      })
      const theta = noise(1, layout.size)
      assertSameBits((yield* run(roundTrip, { theta })).theta, theta)
    }),
  )

  it.effect("gives every parameter its shape and its part of the vector", () =>
    Effect.gen(function* () {
      const layout = smallLayout(2)
      const outputs = Object.fromEntries(layout.parameters.map(({ name, shape }) => [name, f32(...shape)]))
      const theta = noise(1, layout.size)
      const unpacked = yield* run(
        program({
          name: "unpack",
          inputs: { theta: f32(layout.size) },
          outputs,
          body: (inputs) => unpack(layout, inputs.theta),
        }),
        { theta },
      )
      for (const parameter of layout.parameters) {
        assertSameBits(unpacked[parameter.name], view(theta, parameter), parameter.name)
      }
    }),
  )
})
