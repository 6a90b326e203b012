/** What an engine's own error means. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { sizeOf } from "../../model/Program.ts"
import { EngineFailure, OutOfMemory } from "../TensorEngine.ts"

/** How onnxruntime, TensorFlow and WebGPU say that memory is short; a buffer that could not be made is invalid. */
const SHORTAGE =
  /Failed to allocate memory|OOM when allocating|bad_alloc|OUT_OF_DEVICE_MEMORY|Invalid Buffer|Allocation size too large/

/** Bytes of the allocation that failed. */
const wantedBy = (message: string): number | null => {
  const [, bytes] = /requested buffer of size (\d+)/.exec(message) ?? []
  if (bytes !== undefined) return Number(bytes)
  const [, shape] = /allocating tensor with shape\[([\d,]*)\]/.exec(message) ?? []
  return shape === undefined ? null : 4 * sizeOf(shape.split(",").map(Number))
}

/** Free bytes of the first NVIDIA GPU, where there is one. */
const freeOnGpu = (): number | null => {
  try {
    const query = ["--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    const mebibytes = Number.parseInt(
      execFileSync("nvidia-smi", query, { encoding: "utf8", stdio: "pipe" }),
      10,
    )
    return Number.isNaN(mebibytes) ? null : mebibytes * 2 ** 20
  } catch {
    return null
  }
}

/** Bytes of a line of /proc/self: `VmSize: 12 kB`, or `Max address space 12288 …`; null where it names none. */
const ownBytes = (file: "status" | "limits", line: RegExp, unit: number): number | null => {
  try {
    const [, amount] = line.exec(readFileSync(`/proc/self/${file}`, "utf8")) ?? []
    return amount === undefined ? null : Number(amount) * unit
  } catch {
    return null
  }
}

/** Free bytes of this machine, of its container, and of what this process may have (`ulimit -v`). */
const freeHere = (): number => {
  const most = ownBytes("limits", /Max address space\s+(\d+)/, 1)
  const own = ownBytes("status", /VmSize:\s+(\d+)/, 1024)
  const left = most === null || own === null ? Number.POSITIVE_INFINITY : most - own
  return Math.max(0, Math.min(process.availableMemory(), left))
}

/** A typed error of what was thrown while an engine ran a program. */
export const failureOf = (
  { engine, program, onGpu }: { readonly engine: string; readonly program: string; readonly onGpu: boolean },
  cause: unknown,
): EngineFailure | OutOfMemory => {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (!SHORTAGE.test(message)) return new EngineFailure({ program, engine, cause })
  const free = onGpu ? freeOnGpu() : freeHere()
  return new OutOfMemory({ program, engine, wanted: wantedBy(message), free })
}
