/** Cross-entropy and accuracy of integer labels. */
import * as tf from "@tensorflow/tfjs"

/** Cross-entropy of each example [n]: logits [n, p], labels int32 [n]. */
export const crossEntropies = (logits: tf.Tensor, labels: tf.Tensor): tf.Tensor => {
  const correct = tf.oneHot(tf.cast(labels, "int32"), logits.shape[1] ?? 0, 1, 0, "float32")
  return tf.neg(tf.sum(tf.mul(correct, tf.logSoftmax(logits)), -1))
}

/** Mean cross-entropy, a scalar. */
export const crossEntropy = (logits: tf.Tensor, labels: tf.Tensor): tf.Scalar =>
  tf.mean(crossEntropies(logits, labels))

/** 1 where the largest logit is the label's, else 0: int32 [n]. */
export const correct = (logits: tf.Tensor, labels: tf.Tensor): tf.Tensor =>
  tf.cast(tf.equal(tf.argMax(logits, -1), labels), "int32")
