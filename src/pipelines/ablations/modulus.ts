import { Ablation } from "../Ablation.ts"

export default Ablation.of("single", {
  description: "Modulus p: a smaller or larger table",
  seeds: 3,
  measure: ["grok-step", "gradient-peak", "update-peak", "gradient-over-update"],
}).vary({ "data.modulus": [59, 83, 97, 113] })
