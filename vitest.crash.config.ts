import { defineConfig } from "vitest/config"

/** `pnpm test:crash`: hours, not minutes. `pnpm test:crash kill` runs one part. */
export default defineConfig({
  test: {
    include: ["test/crash/soak/*.soak.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 8 * 3_600_000,
    hookTimeout: 3_600_000,
    globalSetup: ["test/crash/soak/summary.ts"],
  },
})
