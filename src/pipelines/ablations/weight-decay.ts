import { Ablation } from "../Ablation.ts"

export default Ablation.of("single", {
  description:
    "Weight decay × learning rate: is the gap between gradients and updates one of the optimiser's settings?",
  seeds: 3,
  measure: ["grok-step", "gradient-peak", "update-peak", "gradient-over-update", "gradient-over-update.mean"],
}).vary({ "train.weightDecay": [0.1, 0.3, 1, 3], "train.learningRate": [3e-4, 1e-3, 3e-3] })
