import { Ablation } from "../Ablation.ts"

export default Ablation.of("single", {
  description: "Attention heads, at the same width",
  seeds: 3,
  measure: ["grok-step", "gradient-peak", "update-peak", "gradient-over-update"],
}).vary({ "model.heads": [1, 2, 4, 8] })
