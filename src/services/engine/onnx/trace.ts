/**
 * A TensorFlow.js backend whose kernels record instead of computing.
 *
 * Running a program body once under it (forward, backward, optimiser) leaves the whole computation in a
 * `Graph`. Tracing is synchronous; the backend is registered on first use and selected only while tracing.
 */
import * as tf from "@tensorflow/tfjs"
import { mapSignature, type Signature, type Tensors } from "../../../model/Program.ts"
import { onBackend } from "../onBackend.ts"
import type { ElementType, Graph, Name } from "./graph.ts"
import { kernels, type Traced } from "./kernels.ts"

const BACKEND = "grokscope-trace"

class TraceBackend extends tf.KernelBackend {
  readonly names = new WeakMap<tf.DataId, Name>()
  graph: Graph | undefined

  recording(): Graph {
    if (this.graph === undefined) throw new Error("the tracing backend was used outside of a trace")
    return this.graph
  }

  add(name: Name): tf.DataId {
    const dataId = {}
    this.names.set(dataId, name)
    return dataId
  }

  nameOf(dataId: tf.DataId): Name {
    const name = this.names.get(dataId)
    if (name === undefined) throw new Error("a tensor from outside of the trace was used in it")
    return name
  }

  override write(values: tf.backend_util.BackendValues, shape: Array<number>, dtype: tf.DataType): tf.DataId {
    const type = elementType(dtype)
    return this.add(this.recording().constant(type, shape, Array.from(values, Number)))
  }
  override readSync(): never {
    throw new Error("a traced program cannot look at values")
  }
  override read(): never {
    throw new Error("a traced program cannot look at values")
  }
  override disposeData(): boolean {
    return true
  }
  override numDataIds(): number {
    return 0
  }
  override incRef(): void {}
  decRef(): void {}
  override refCount(): number {
    return 1
  }
  override memory() {
    return { unreliable: true }
  }
  override floatPrecision(): 16 | 32 {
    return 32
  }
  override epsilon(): number {
    return 1e-7
  }
  override dispose(): void {}
}

const elementType = (dtype: tf.DataType): ElementType => {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype
  throw new Error(`dtype ${dtype} is not supported`)
}

let registered: TraceBackend | undefined

const traceBackend = (): TraceBackend => {
  if (registered !== undefined) return registered
  const backend = new TraceBackend()
  const toInfo = ({ name, shape, dtype }: Traced): tf.TensorInfo => {
    if (dtype === "int64") throw new Error("int64 stays inside of a kernel")
    return { dataId: backend.add(name), shape: [...shape], dtype }
  }
  tf.registerBackend(BACKEND, () => backend)
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) => {
        const traced = Object.fromEntries(
          Object.entries(inputs).flatMap(
            ([key, info]): Array<[string, Traced]> =>
              info === undefined
                ? []
                : [
                    [
                      key,
                      {
                        name: backend.nameOf(info.dataId),
                        shape: info.shape,
                        dtype: elementType(info.dtype),
                      },
                    ],
                  ],
          ),
        )
        const result = kernel(backend.recording(), traced, { ...attrs })
        return "name" in result ? toInfo(result) : result.map(toInfo)
      },
    })
  }
  registered = backend
  return backend
}

/** Within a trace: symbolic tensors for named values of the graph, and back. */
export interface Tracer {
  readonly tensors: <S extends Signature>(signature: S, nameOf: (key: string) => Name) => Tensors<S>
  readonly traced: (tensor: tf.Tensor) => Traced
}

/**
 * Runs `body`, recording every TensorFlow.js operation in `graph`.
 * Throws what TensorFlow.js throws; `missingKernel` reads the name of an unknown op from it.
 */
export const trace = <A>(graph: Graph, body: (tracer: Tracer) => A): A => {
  const backend = traceBackend()
  const engine = tf.engine()
  const tracer: Tracer = {
    tensors: (signature, nameOf) =>
      mapSignature(signature, (key, { shape, dtype }) =>
        engine.makeTensorFromTensorInfo({ dataId: backend.add(nameOf(key)), shape: [...shape], dtype }),
      ),
    traced: ({ dataId, shape, dtype }) => ({
      name: backend.nameOf(dataId),
      shape,
      dtype: elementType(dtype),
    }),
  }
  backend.graph = graph
  try {
    return onBackend(BACKEND, () => body(tracer))
  } finally {
    backend.graph = undefined
  }
}

/** The op that TensorFlow.js found no kernel for, read from its error. */
export const missingKernel = (error: unknown): string | undefined =>
  error instanceof Error ? /Kernel '([^']+)' not registered for backend/.exec(error.message)?.[1] : undefined
