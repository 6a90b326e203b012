/** The machine at hand, as provenance names it. */
import { arch, type CpuInfo, cpus, platform } from "node:os"

let known: ReadonlyArray<CpuInfo> | undefined

/** Its cores; asked for once, for that takes 50 ms. */
const cores = (): ReadonlyArray<CpuInfo> => {
  known ??= cpus()
  return known
}

export const processor = () => ({ cpu: cores()[0]?.model ?? "unknown", cores: cores().length })

export const machine = (): string => {
  const { cpu, cores } = processor()
  return `${cpu} x${cores}, ${platform()} ${arch()}`
}
