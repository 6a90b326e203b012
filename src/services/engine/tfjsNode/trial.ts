/**
 * Run by `setUp.ts` in a process of its own, which a bad addon may take down: loads an addon and multiplies with it. Prints what
 * it found as JSON; a wrong product is an error.
 */
import * as tf from "@tensorflow/tfjs"
import { onBackend } from "../onBackend.ts"
import { load, prepare } from "./binding.ts"

const SIZE = 64
const BACKEND = "tensorflow"

prepare({ gpu: true, threads: 1 })
const { binding, makeBackend } = load(process.argv[2])
tf.env().set("IS_NODE", false) // or TensorFlow.js advertises its native backend
tf.registerBackend(BACKEND, makeBackend, 0)

/** The product of two matrices of whole numbers, which has no rounding. */
const product = (): Float32Array => {
  const numbers = (shift: number) =>
    tf.tensor2d(
      Float32Array.from({ length: SIZE * SIZE }, (_, i) => ((i + shift) % 7) - 3),
      [SIZE, SIZE],
    )
  return Float32Array.from(tf.matMul(numbers(0), numbers(3)).dataSync())
}

const [own, expected] = [onBackend(BACKEND, product), onBackend("cpu", product)]
if (own.some((value, i) => value !== expected[i])) throw new Error("a product of matrices is wrong")
if (binding.getNumOfTensors() !== 0) throw new Error("tensors are left behind")
process.stdout.write(JSON.stringify({ tensorflow: binding.TF_Version, gpu: binding.isUsingGpuDevice() }))
