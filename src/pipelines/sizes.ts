/** The sizes that a run of one operation is declared with. They stand apart from it: `doctor` times a training of the paper's without the stages. */
import type { SingleConfig } from "./single.ts"

/** The paper's sizes and hyper-parameters. */
export const paper: SingleConfig = {
  seed: 42,
  data: { operation: "add", modulus: 97, trainFraction: 0.5, labels: "true" },
  model: { width: 128, heads: 4, feedForward: 256, layers: 2 },
  train: {
    optimizer: "adamw",
    schedule: { kind: "constant" },
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-8,
    weightDecay: 1,
    clipNorm: 1,
    batchSize: 512,
    maxSteps: 8000,
    evaluateEvery: 25,
    stop: { accuracy: 0.98, count: 20, consecutive: false, every: 1, latched: false },
  },
  block: "attention",
  sampling: "published",
  capture: { batch: "mixed", batchSize: 512, task: null, stride: 1, objective: "loss", objectiveDraw: 0 },
  svd: { window: 20, rank: 3, updates: "checkpoint", points: 40, every: 1 },
  probe: { probes: 1024, epsilon: 0.005, centroid: "correct-logit", from: "table", task: 0, draws: 20 },
}

/** Everything small, yet it groks, within seconds: shows the phenomenon, says nothing about the paper. */
export const smoke: SingleConfig = {
  ...paper,
  data: { operation: "add", modulus: 23, trainFraction: 0.8, labels: "true" },
  model: { width: 32, heads: 4, feedForward: 64, layers: 2 },
  train: {
    ...paper.train,
    learningRate: 5e-3,
    batchSize: 256,
    maxSteps: 1500,
    stop: { ...paper.train.stop, count: 5 },
  },
  capture: { ...paper.capture, batchSize: 128 },
  svd: { ...paper.svd, points: 10 },
  probe: { ...paper.probe, probes: 128 },
}
