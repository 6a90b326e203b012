import { writeFileSync } from "node:fs"
import { it } from "@effect/vitest"
import { renderPng } from "../../src/figures/png.ts"
import { samples } from "../figures/samples.ts"

it("x", () => {
  for (const [n, f] of Object.entries(samples))
    writeFileSync(`/tmp/rep-fig-${n}.png`, renderPng(f(), n.startsWith("overview") ? 1.5 : 1))
})
