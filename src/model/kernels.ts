/**
 * The three fused operations that the model adds to TensorFlow.js's own, with their gradients.
 *
 * An engine either has a kernel of that name (the tracer maps each onto one fused ONNX operator) or registers
 * the composed form given here (`composedKernels`), which is also the reference that tests compare with.
 */
import * as tf from "@tensorflow/tfjs"

export const Linear = "GrokscopeLinear"
export const Normalize = "GrokscopeNormalize"
export const Gelu = "GrokscopeGelu"

const EPSILON = 1e-5
const SQRT_HALF = Math.SQRT1_2
const INV_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI)

const single = (result: tf.Tensor | ReadonlyArray<tf.Tensor>): tf.Tensor => {
  const [tensor] = Array.isArray(result) ? result : [result]
  return tensor
}

/** `x · wᵀ + b`: x [n, in], w [out, in], b [out] -> [n, out]. */
export const linear = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  single(tf.engine().runKernel(Linear, { x, w, b }))

/** `(x - mean) / sqrt(variance + 1e-5)` over the last axis: LayerNorm without its affine part. x [n, d]. */
export const normalize = (x: tf.Tensor): tf.Tensor => single(tf.engine().runKernel(Normalize, { x }))

/** Exact GELU, `x · Φ(x)` (Hendrycks & Gimpel 2016, the erf form). */
export const gelu = (x: tf.Tensor): tf.Tensor => single(tf.engine().runKernel(Gelu, { x }))

tf.registerGradient({
  kernelName: Linear,
  inputsToSave: ["x", "w"],
  gradFunc: (dy, [x, w]) => {
    const g = single(dy)
    return {
      x: () => tf.matMul(g, w),
      w: () => tf.matMul(g, x, true, false),
      b: () => tf.sum(g, 0),
    }
  },
})

tf.registerGradient({
  kernelName: Normalize,
  outputsToSave: [true, true],
  gradFunc: (dys, [y, inverseDeviation]) => {
    const dy = single(dys)
    return {
      x: () => {
        const along = tf.mul(y, tf.mean(tf.mul(dy, y), -1, true))
        return tf.mul(inverseDeviation, tf.sub(tf.sub(dy, tf.mean(dy, -1, true)), along))
      },
    }
  },
})

tf.registerGradient({
  kernelName: Gelu,
  inputsToSave: ["x"],
  gradFunc: (dys, [x]) => {
    const dy = single(dys)
    return { x: () => tf.mul(dy, geluDerivative(x)) }
  },
})

/** `Φ(x) + x φ(x)`. */
const geluDerivative = (x: tf.Tensor): tf.Tensor => {
  const cdf = tf.add(tf.mul(tf.erf(tf.mul(x, SQRT_HALF)), 0.5), 0.5)
  const pdf = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), INV_SQRT_2PI)
  return tf.add(cdf, tf.mul(x, pdf))
}

/** The three operations in terms of TensorFlow.js's own; Normalize returns `[y, 1 / deviation]`. */
export const composedKernels: Readonly<
  Record<string, (inputs: Record<string, tf.Tensor>) => ReadonlyArray<tf.Tensor>>
> = {
  [Linear]: ({ x, w, b }) => [tf.add(tf.matMul(x, w, false, true), b)],
  [Normalize]: ({ x }) => {
    const centred = tf.sub(x, tf.mean(x, -1, true))
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), EPSILON))
    return [tf.mul(centred, inverse), inverse]
  },
  [Gelu]: ({ x }) => [tf.mul(x, tf.add(tf.mul(tf.erf(tf.mul(x, SQRT_HALF)), 0.5), 0.5))],
}

export const layerNormEpsilon = EPSILON
