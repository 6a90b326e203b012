import { Ablation } from "../Ablation.ts"

export default Ablation.of("single", {
  description: "Width of the network, its feed-forward layers twice as wide",
  seeds: 3,
  measure: ["grok-step", "gradient-peak", "update-peak", "gradient-over-update"],
}).zip({ "model.width": [32, 64, 128, 256], "model.feedForward": [64, 128, 256, 512] })
