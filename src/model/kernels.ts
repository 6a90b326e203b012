/**
 * The fused operations that the model adds to TensorFlow.js's own, with their gradients.
 *
 * An engine either has a kernel of that name (the tracer maps each onto one fused ONNX operator) or registers
 * the composed form given here (`composedKernels`), which is also the reference that tests compare with.
 *
 * Gradients can be differentiated again, for the exact perturbation energy (`centroids.ts`) is a second derivative.
 * That is why they save inputs only and compute outputs anew, which a tracer folds into one node: TensorFlow.js
 * records its copy of a saved output before the operation that makes it, and so derivatives through it get lost.
 */
import * as tf from "@tensorflow/tfjs"

export const Linear = "GrokscopeLinear"
export const Normalize = "GrokscopeNormalize"
export const InverseDeviation = "GrokscopeInverseDeviation"

const EPSILON = 1e-5
const LOG_ERF_SLOPE = Math.log(2 / Math.sqrt(Math.PI))

const single = (result: tf.Tensor | ReadonlyArray<tf.Tensor>): tf.Tensor => {
  const [tensor] = Array.isArray(result) ? result : [result]
  return tensor
}

/** `x · wᵀ + b`: x [n, in], w [out, in], b [out] -> [n, out]. */
export const linear = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  single(tf.engine().runKernel(Linear, { x, w, b }))

/** `(x - mean) / sqrt(variance + 1e-5)` over the last axis: LayerNorm without its affine part. x [n, d]. */
export const normalize = (x: tf.Tensor): tf.Tensor => single(tf.engine().runKernel(Normalize, { x }))

/** `1 / sqrt(variance + 1e-5)` over the last axis, the scale of {@link normalize}. x [..., d] -> [..., 1]. */
export const inverseDeviation = (x: tf.Tensor): tf.Tensor =>
  single(tf.engine().runKernel(InverseDeviation, { x }))

/**
 * `z (1 + erf z)`: the exact GELU (Hendrycks & Gimpel 2016) of √2 z, times √2. The factors cost nothing where they are part of
 * the weights before and after. Forward and backward share `1 + erf z`.
 */
export const scaledGelu = (x: tf.Tensor): tf.Tensor =>
  tf.customGrad((z, save) => {
    if (!(z instanceof tf.Tensor) || typeof save !== "function")
      throw new Error("scaledGelu takes one tensor")
    save([z])
    const gate = (y: tf.Tensor) => tf.add(tf.erf(y), 1)
    return {
      value: tf.mul(z, gate(z)),
      gradFunc: (dys, [saved]) => {
        const erfSlope = tf.exp(tf.sub(LOG_ERF_SLOPE, tf.square(saved)))
        return tf.mul(single(dys), tf.add(gate(saved), tf.mul(saved, erfSlope)))
      },
    }
  })(x)

/** `1 / (1 + exp(−x))`: TensorFlow.js's own, whose gradient saves its output. */
export const sigmoid = (x: tf.Tensor): tf.Tensor =>
  tf.customGrad((z, save) => {
    if (!(z instanceof tf.Tensor) || typeof save !== "function") throw new Error("sigmoid takes one tensor")
    save([z])
    return {
      value: tf.sigmoid(z),
      gradFunc: (dys, [saved]) => {
        const y = sigmoid(saved)
        return tf.mul(single(dys), tf.mul(y, tf.sub(1, y)))
      },
    }
  })(x)

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

/** With y = normalize(x) and r = inverseDeviation(x): r (dy − mean dy − y mean(dy y)). */
tf.registerGradient({
  kernelName: Normalize,
  inputsToSave: ["x"],
  gradFunc: (dys, [x]) => {
    const dy = single(dys)
    return {
      x: () => {
        const y = normalize(x)
        const along = tf.mul(y, tf.mean(tf.mul(dy, y), -1, true))
        return tf.mul(inverseDeviation(x), tf.sub(tf.sub(dy, tf.mean(dy, -1, true)), along))
      },
    }
  },
})

/** −r² y dr / d. */
tf.registerGradient({
  kernelName: InverseDeviation,
  inputsToSave: ["x"],
  gradFunc: (dys, [x]) => {
    const dr = single(dys)
    return {
      x: () => {
        const scale = tf.mul(tf.square(inverseDeviation(x)), -1 / x.shape[x.shape.length - 1])
        return tf.mul(tf.mul(dr, scale), normalize(x))
      },
    }
  },
})

const composedInverseDeviation = (centred: tf.Tensor): tf.Tensor =>
  tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), EPSILON))

const centre = (x: tf.Tensor): tf.Tensor => tf.sub(x, tf.mean(x, -1, true))

/** The operations in terms of TensorFlow.js's own; each has one result. */
export const composedKernels: Readonly<
  Record<string, (inputs: Record<string, tf.Tensor>) => ReadonlyArray<tf.Tensor>>
> = {
  [Linear]: ({ x, w, b }) => [tf.add(tf.matMul(x, w, false, true), b)],
  [Normalize]: ({ x }) => {
    const centred = centre(x)
    return [tf.mul(centred, composedInverseDeviation(centred))]
  },
  [InverseDeviation]: ({ x }) => [composedInverseDeviation(centre(x))],
}

export const layerNormEpsilon = EPSILON
