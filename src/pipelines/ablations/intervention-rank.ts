import { Ablation } from "../Ablation.ts"

export default Ablation.of("interventions", {
  description: "Directions that attention may move along: is there a rank below which it stops to matter?",
  seeds: 3,
  measure: ["speedup", "speedup.first-half", "norm-ratio"],
})
  .set({ "intervention.window": 64, "intervention.warmup": 64 })
  .vary({ "intervention.rank": [0, 1, 2, 3, 5, 10, 20, 32, 64] })
