import { Ablation } from "../Ablation.ts"

export default Ablation.of("single", {
  description: "Block of parameters: attention, one layer or one matrix of it, or the feed-forward layers",
  seeds: 3,
  measure: ["gradient-peak", "update-peak", "gradient-over-update", "gradient-over-update.mean"],
}).vary({ block: ["attention", "layer-0", "layer-1", "Q", "K", "V", "O", "mlp"] })
