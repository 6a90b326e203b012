/** The corruption matrix: every kind of file of a store, damaged in every way, and what the next run makes of it. */
import { cpSync, existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { retryDamaged } from "../../src/commands/retryDamaged.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { pastRuns } from "../../src/services/Journal.ts"
import { reachableFrom } from "../../src/services/references.ts"
import { verify } from "../../src/services/verify.ts"
import { damages, unprivileged } from "../services/store/damages.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { dieAfter, runAll, storeIn, type Undisturbed } from "./everyOperation.ts"
import { workingIn } from "./stores.ts"

export const results = ["tensors", "moments", "tables", "documents", "records", "entries"] as const
export const traces = ["journal", "process", "lease"] as const
export const kinds = [...results, ...traces]
export type Kind = (typeof kinds)[number]
export const damageNames = Object.keys(damages)

export interface Cell {
  readonly kind: Kind
  readonly damage: string
  /** Whether `verify` looks at the store before it is used again. */
  readonly verified: boolean
}

/** Without verify, a blob of another length does not count as there, and is written over. */
const KEEPS_LENGTH = ["one bit flipped", "closed to its reader"]

/** What became of a damage. */
export type Fate =
  | "quarantined"
  /** It was missing, or had another length and was written over: computed anew. */
  | "replaced"
  /** Nothing depends on it. */
  | "passed over"

/** The files of a kind, by path relative to the store. */
const filesOf = Effect.fnUntraced(function* (kind: Kind) {
  const store = yield* ArtifactStore
  const files = filesBelow(store.root)
  const records = yield* store.records
  const reached = yield* Effect.forEach(records, ({ output }) => reachableFrom(output))
  const needed = new Set(reached.flat().map(({ digest }) => digest))
  const isNeeded = (file: string) => needed.has(file.split("/")[2]?.split(".")[0] ?? "")
  const matching = (pattern: RegExp) => files.filter((file) => pattern.test(file))
  switch (kind) {
    case "tensors":
      return matching(/^objects.*\.safetensors$/).filter(isNeeded)
    case "moments":
      // Only a cursor leads to them.
      return matching(/^objects.*\.safetensors$/).filter((file) => !isNeeded(file))
    case "tables":
      return matching(/^objects.*\.parquet$/).filter(isNeeded)
    case "documents":
      return matching(/^objects.*\.json$/).filter(isNeeded)
    case "records":
      return matching(/^records\//)
    case "entries":
      return matching(/^cursors\/train\//)
    case "journal":
      return matching(/^runs\//)
    case "process":
      return matching(/^processes\//)
    case "lease":
      return matching(/^leases\//)
  }
})

/** Another file of the same part of the store; of a lease a process, and the other way round. */
const neighbourOf = (file: string, root: string): string => {
  const [part] = file.split("/")
  const parts = part === "leases" || part === "processes" ? ["leases", "processes"] : [part]
  const around = filesBelow(root).filter((other) => parts.includes(other.split("/")[0]))
  return around[(around.indexOf(file) + 1) % around.length]
}

/** Two runs, the second of which died while it held a lease: its process, its lease and its journal are left. */
export const prepared = Effect.gen(function* () {
  const root = yield* temporaryDirectory
  yield* Effect.provide(runAll, storeIn(root))
  for (const file of filesBelow(join(root, "records", "measure-null"))) {
    rmSync(join(root, "records", "measure-null", file))
  }
  // A lease is the only file that is written so.
  yield* dieAfter(root, "write file")
  assert.lengthOf(workingIn(root), 2)
  return root
})

/** The history can be read without what is damaged; a journal that may not be read at all is named, since it may be wanted. */
const checkJournals = Effect.fnUntraced(function* (closed: string | undefined) {
  if (closed === undefined) return assert.isNotEmpty(yield* pastRuns)
  assert.include((yield* Effect.flip(pastRuns)).message, closed)
})

/** One cell: damages the file that `choose` picks, then uses the store. Whatever is not as it should be fails the test. */
export const tryCell = Effect.fn("tryCell")(function* (
  { kind, damage, verified }: Cell,
  { outputs, contents }: Undisturbed,
  template: string,
  choose: (count: number) => number,
) {
  const directory = yield* temporaryDirectory
  const root = join(directory, "store")
  cpSync(template, root, { recursive: true })
  yield* unprivileged(directory)
  return yield* Effect.gen(function* () {
    const store = yield* ArtifactStore
    const files = yield* filesOf(kind)
    const file = files[choose(files.length)]
    const where = `${file} ${damage}`
    damages[damage](join(root, file), join(root, neighbourOf(file, root)))
    // Entries and moments are looked at when training goes on.
    if (kind === "entries" || kind === "moments") rmSync(join(root, "records", "train"), { recursive: true })

    const found = verified ? (yield* verify).damages : []
    const isResult = results.some((result) => result === kind)
    if (verified) assert.strictEqual(found.length > 0, isResult && isKnown(kind, damage), where)
    assert.deepStrictEqual(yield* retryDamaged(runAll), outputs, where)
    if (!verified) {
      // A damage in what nobody has read is still there.
      yield* verify
      assert.deepStrictEqual(yield* retryDamaged(runAll), outputs, where)
    }
    // Nothing that a record leads to is missing. What only a cursor leads to need not come back.
    assert.deepStrictEqual((yield* verify).damages, [], where)
    const records = (yield* store.records).map(({ provenance: _, ...record }) => record)
    assert.deepStrictEqual(records, contents.records, where)
    assert.deepStrictEqual(workingIn(root), [], `${where}: nobody is at work any more`)
    yield* checkJournals(damage === "closed to its reader" && kind === "journal" ? file : undefined)

    const quarantined = existsSync(join(root, "quarantine", file.replaceAll("/", ".")))
    if (!isResult || damage === "deleted") assert.isFalse(quarantined, where)
    else if (verified || KEEPS_LENGTH.includes(damage)) assert.isTrue(quarantined, where)
    const fate: Fate = quarantined ? "quarantined" : isResult ? "replaced" : "passed over"
    return fate
  }).pipe(Effect.provide(storeIn(root)))
}, Effect.scoped)

/** Whether `verify` can know it: a deleted record or entry, or what only a cursor leads to, was never there. */
const isKnown = (kind: Kind, damage: string): boolean =>
  damage !== "deleted" || kind === "tensors" || kind === "tables" || kind === "documents"
