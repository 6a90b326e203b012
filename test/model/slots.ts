/** The slots of θ that a block is, found by name and row, one by one: a reference that knows no ranges. */
import type { Block } from "../../src/model/blocks.ts"
import type { Layout } from "../../src/model/layout.ts"

/** Which block parts row `row` of a parameter belongs to, as `layer-0 Q`; undefined for none. */
const partOf = (name: string, row: number, width: number): string | undefined => {
  const [, layer = "", rest = ""] = /^encoder\.layers\.(\d+)\.(.*)$/.exec(name) ?? []
  if (rest === "self_attn.in_proj_weight") return `layer-${layer} ${"QKV"[Math.floor(row / width)]}`
  if (rest === "self_attn.out_proj.weight") return `layer-${layer} O`
  return /^linear[12]\.(weight|bias)$/.test(rest) ? `layer-${layer} mlp` : undefined
}

const matches = (block: Block, part: string): boolean => {
  const [layer, matrix] = part.split(" ")
  if (matrix === "mlp") return block === "mlp"
  return block === "attention" || block === layer || block === matrix || block === `${layer}-${matrix}`
}

/** Ascending. */
export const slotsOf = ({ parameters, shape }: Layout, block: Block): ReadonlyArray<number> =>
  parameters.flatMap(({ name, offset, size, shape: [rows] }) =>
    Array.from({ length: size }, (_, i) => i).flatMap((i) => {
      if (block === "full") return [offset + i]
      const part = partOf(name, Math.floor((i * rows) / size), shape.width)
      return part !== undefined && matches(block, part) ? [offset + i] : []
    }),
  )
