/** What can happen to a file of a store behind its back. */
import {
  chmodSync,
  lchownSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"

const swap = (a: string, b: string) => {
  renameSync(a, `${a}.swap`)
  renameSync(b, a)
  renameSync(`${a}.swap`, b)
}

/** Each damages a file; `next` is another one. */
export const damages: Readonly<Record<string, (file: string, next: string) => void>> = {
  "cut short": (file) => truncateSync(file, Math.max(0, readFileSync(file).length - 7)),
  "one bit flipped": (file) => {
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.with(bytes.length >> 1, bytes[bytes.length >> 1] ^ 4))
  },
  emptied: (file) => truncateSync(file, 0),
  deleted: (file) => rmSync(file),
  "swapped with its neighbour": swap,
  "closed to its reader": (file) => chmodSync(file, 0),
}

const NOBODY = 65_534

/** Until the scope closes this process is not root, who may read everything; what is below `directory` is its own. */
export const unprivileged = (directory: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      if (process.geteuid?.() !== 0) return
      for (const name of ["", ...readdirSync(directory, { recursive: true, encoding: "utf8" })]) {
        lchownSync(join(directory, name), NOBODY, NOBODY)
      }
      process.seteuid?.(NOBODY)
    }),
    () =>
      Effect.sync(() => {
        if (process.getuid?.() === 0) process.seteuid?.(0)
      }),
  )
