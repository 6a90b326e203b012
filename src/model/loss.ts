/**
 * Cross-entropy and accuracy of integer labels, for one read-out head or several.
 *
 * Logits are [n, tasks·p], the heads side by side; labels are int32 [n·tasks], example-major. So both are a row for
 * each example and task once the logits are reshaped to [n·tasks, p].
 */
import * as tf from "@tensorflow/tfjs"

/** Logits [n, tasks·p] as a row for each label, [n·tasks, p]. */
const rowPerLabel = (logits: tf.Tensor, labels: tf.Tensor): tf.Tensor =>
  tf.reshape(logits, [labels.shape[0], -1])

/** Cross-entropy of each example and task [n·tasks]. */
export const crossEntropies = (logits: tf.Tensor, labels: tf.Tensor): tf.Tensor => {
  const rows = rowPerLabel(logits, labels)
  const correct = tf.oneHot(tf.cast(labels, "int32"), rows.shape[1] ?? 0, 1, 0, "float32")
  return tf.neg(tf.sum(tf.mul(correct, tf.logSoftmax(rows)), -1))
}

/** The sum over tasks of their mean cross-entropies, a scalar (experiment.md §3). */
export const crossEntropy = (logits: tf.Tensor, labels: tf.Tensor): tf.Scalar => {
  const tasks = labels.shape[0] / logits.shape[0]
  const mean = tf.mean<tf.Scalar>(crossEntropies(logits, labels))
  return tasks === 1 ? mean : tf.mul(mean, tasks)
}

/** Mean cross-entropy of one task alone, a scalar. */
export const taskCrossEntropy = (logits: tf.Tensor, labels: tf.Tensor, task: number): tf.Scalar => {
  const [n, outputs = 0] = logits.shape
  const tasks = labels.shape[0] / n
  const p = outputs / tasks
  const ownLogits = tf.slice(logits, [0, task * p], [n, p])
  const ownLabels = tf.reshape(tf.slice(tf.reshape(labels, [n, tasks]), [0, task], [n, 1]), [n])
  return crossEntropy(ownLogits, ownLabels)
}

/**
 * The mean over examples of the logit that each label names, a scalar: summed over tasks, or of one task alone. It is linear
 * in the logits, so its gradient knows nothing of what the network predicts.
 */
export const meanLogit = (logits: tf.Tensor, labels: tf.Tensor, task?: number): tf.Scalar => {
  const [n] = logits.shape
  const tasks = labels.shape[0] / n
  const rows = rowPerLabel(logits, labels)
  const named = tf.oneHot(tf.cast(labels, "int32"), rows.shape[1] ?? 0, 1, 0, "float32")
  const picked = tf.reshape(tf.sum(tf.mul(named, rows), -1), [n, tasks])
  const own = task === undefined ? picked : tf.slice(picked, [0, task], [n, 1])
  return tf.div<tf.Scalar>(tf.sum(own), n)
}

/** 1 where the largest logit of the task's head is the label's, else 0: int32 [n·tasks]. */
export const correct = (logits: tf.Tensor, labels: tf.Tensor): tf.Tensor =>
  tf.cast(tf.equal(tf.argMax(rowPerLabel(logits, labels), -1), labels), "int32")
