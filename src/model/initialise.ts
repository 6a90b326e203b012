/** Initial parameters: PyTorch's defaults for the modules of experiment.md §2, from counter-based streams. */
import { normals, stream, uniforms } from "../numerics/random.ts"
import { type Initialiser, type Layout, layerPrefix } from "./layout.ts"

const draw = (initialiser: Initialiser, size: number, seed: number, index: number): Float32Array => {
  const source = stream(seed, "init", index)
  switch (initialiser.kind) {
    case "normal":
      return Float32Array.from(normals(source, size), (z) => z * initialiser.std)
    case "uniform":
      return Float32Array.from(uniforms(source, size), (u) => (2 * u - 1) * initialiser.bound)
    case "constant":
      return new Float32Array(size).fill(initialiser.value)
  }
}

/**
 * The flat parameter vector [layout.size] of a run. All layers start with the weights of layer 0, because
 * PyTorch's `TransformerEncoder` deep-copies its layer.
 */
export const initialParameters = (layout: Layout, seed: number): Float32Array => {
  const theta = new Float32Array(layout.size)
  const byName = new Map(layout.parameters.map((parameter, index) => [parameter.name, { parameter, index }]))
  for (const { name, size, offset, initialiser } of layout.parameters) {
    const source = byName.get(name.replace(/^encoder\.layers\.\d+/, layerPrefix(0)))
    theta.set(draw(initialiser, size, seed, source?.index ?? 0), offset)
  }
  return theta
}
