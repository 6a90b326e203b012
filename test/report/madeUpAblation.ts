/** An ablation whose every name is an attempt to inject markup. */
import { estimate } from "../../src/pipelines/Claim.ts"
import type { Comparison } from "../../src/pipelines/comparison.ts"

export const INJECTED = "<img src=x onerror=alert(1)></td><script>alert(2)</script>"

const of = (value: number, unit = "ratio") =>
  estimate(unit, [
    { seed: 42, value },
    { seed: 137, value: 2 * value },
  ])

export const comparison: Comparison = {
  name: `heads ${INJECTED}`,
  description: `More heads. ${INJECTED}`,
  scale: "smoke",
  evidence: `smoke: not evidence ${INJECTED}`,
  seeds: [42, 137],
  axes: [{ field: `model.heads ${INJECTED}`, values: [2, 4, INJECTED] }],
  metrics: [
    { id: "peakR", definition: `largest R̄ ${INJECTED}`, unit: "ratio" },
    { id: "gap", definition: "gradient ÷ update", unit: "ratio" },
  ],
  cells: [2, 4].map((heads) => ({
    id: `heads=${heads} ${INJECTED}`,
    settings: { "model.heads": heads },
    isBase: heads === 4,
    measured: { peakR: { ...of(100 * heads), beside: { [`random ${INJECTED}`]: of(1.5) } } },
    failed: { gap: `diverged ${INJECTED}` },
  })),
  waived: { frozen: `too dear ${INJECTED}` },
  config: { name: INJECTED, [INJECTED]: 1 },
}
