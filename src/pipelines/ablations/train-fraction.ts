import { Ablation } from "../Ablation.ts"

export default Ablation.of("single", {
  description: "Share of the table that is trained on: the less, the later a network groks",
  seeds: 3,
  measure: ["grok-step", "grok-step.first-half", "gradient-peak", "update-peak", "gradient-over-update"],
}).vary({ "data.trainFraction": [0.3, 0.4, 0.5, 0.6, 0.7] })
