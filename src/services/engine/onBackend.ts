/** Runs TensorFlow.js code on one of its backends and leaves nothing behind, shared by the engines. */
import * as tf from "@tensorflow/tfjs"

/**
 * Runs synchronous code with `backend` selected. Every tensor made in it is freed, on success and failure alike,
 * and the backend selected before is selected again.
 */
export const onBackend = <A>(backend: string, body: () => A): A => {
  const engine = tf.engine()
  const previous = engine.backendName || "cpu"
  tf.setBackend(backend)
  engine.startScope(backend)
  try {
    return body()
  } finally {
    // A gradient that throws leaves its tape behind, whose tensors outlive their scope.
    for (const { saved } of engine.state.activeTape ?? []) for (const tensor of saved ?? []) tensor.dispose()
    engine.state.activeTape = []
    engine.endScope()
    tf.setBackend(previous)
  }
}
