/** The cases of `pnpm bench` in which peers do the same work. */
import { raceCommand } from "./race.ts"

const ours = { peer: "grokscope" }

export const step = raceCommand({
  name: "step",
  description: "A training step: 512 pairs, forward, backward, clipping, AdamW",
  unit: "step",
  steps: 100,
  ours: { ...ours, script: "ours/step.ts" },
  peers: [
    { peer: "pytorch", script: "peers/pytorch_step.py" },
    { peer: "pytorch-compiled", script: "peers/pytorch_step.py", options: ["--compile"] },
    { peer: "jax", script: "peers/jax_step.py" },
  ],
})

export const multitask = raceCommand({
  name: "multitask",
  description: "A training step of four tasks at once",
  unit: "step",
  steps: 100,
  ours: { ...ours, script: "ours/step.ts", options: ["--tasks", "4"] },
  peers: [{ peer: "pytorch", script: "peers/pytorch_step.py", options: ["--tasks", "4"] }],
})

export const evaluate = raceCommand({
  name: "evaluate",
  description: "Loss and accuracy of all 9,409 pairs",
  unit: "evaluation",
  steps: 20,
  ours: { ...ours, script: "ours/evaluate.ts" },
  peers: [{ peer: "pytorch", script: "peers/pytorch_evaluate.py" }],
})

export const coupling = raceCommand({
  name: "coupling",
  description: "A point of R̄: the energies of 23 directions on 1,024 probes, by central differences",
  unit: "point",
  steps: 3,
  ours: { ...ours, script: "ours/coupling.ts" },
  peers: [
    { peer: "pytorch", script: "peers/pytorch_coupling.py" },
    { peer: "pytorch-func", script: "peers/pytorch_coupling.py", options: ["--method", "func"] },
  ],
})

/** Rows in a window; the paper's is 20, its rebuttal goes to 200. */
const windows = [20, 50, 100, 200]

export const svds = windows.map((window) =>
  raceCommand({
    name: `svd-${window}`,
    description: `Moving a window of ${window} rows on by one: its singular values and left vectors`,
    unit: "slide",
    steps: 20,
    ours: { ...ours, script: "ours/svd.ts", options: ["--window", String(window)] },
    peers: [
      { peer: "numpy-gram", script: "peers/numpy_svd.py", options: ["--window", String(window)] },
      { peer: "numpy-svd", script: "peers/numpy_svd.py", options: ["--window", String(window), "--full"] },
    ],
    threads: [1],
  }),
)

export const directions = raceCommand({
  name: "directions",
  description: "The same for a window of 20 rows, with its three leading directions",
  unit: "slide",
  steps: 20,
  ours: { ...ours, script: "ours/svd.ts", options: ["--directions", "3"] },
  peers: [
    { peer: "numpy-gram", script: "peers/numpy_svd.py", options: ["--window", "20", "--directions", "3"] },
    {
      peer: "numpy-svd",
      script: "peers/numpy_svd.py",
      options: ["--window", "20", "--full", "--directions", "3"],
    },
  ],
  threads: [1],
})
