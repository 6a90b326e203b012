/** The machine at hand, as provenance names it. */
import { arch, cpus, platform } from "node:os"

export const machine = (): string =>
  `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, ${platform()} ${arch()}`
