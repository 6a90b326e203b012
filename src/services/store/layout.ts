/** Where things stand in a store: paths below its root, parts parted by `/`, and what a path holds. */
import { Schema } from "effect"
import { type ArtifactRef, Format } from "../Artifact.ts"

/** What names a record or a cursor. */
export interface StoreName {
  readonly stage: string
  readonly key: string
}

export const artifactPath = ({ digest, format }: Omit<ArtifactRef, "bytes">): string =>
  `objects/${digest.slice(0, 2)}/${digest}.${format}`

export const recordPath = ({ stage, key }: StoreName): string => `records/${stage}/${key}.json`

/** The directory of a cursor's entries. */
export const cursorPath = ({ stage, key }: StoreName): string => `cursors/${stage}/${key}`

export const entryName = (position: number): string => `${String(position).padStart(8, "0")}.json`

/** What a file is, as its path says. */
export type Place =
  | { readonly _tag: "Artifact"; readonly ref: Omit<ArtifactRef, "bytes"> }
  | { readonly _tag: "Record"; readonly of: StoreName }
  /** Of a cursor. */
  | { readonly _tag: "Entry"; readonly of: StoreName }
  /** A write that is going on, or was killed. */
  | { readonly _tag: "Temporary" }
  | { readonly _tag: "Quarantined" }
  /** Heartbeat or lease of a process, or what it asks of Slurm. */
  | { readonly _tag: "Sign"; readonly process: string }

/** The directories of a store whose files {@link placeOf} knows. */
export const directories = [
  "objects",
  "records",
  "cursors",
  "quarantine",
  "pins",
  "processes",
  "leases",
  "slurm",
]

const ARTIFACT = /^objects\/([0-9a-f]{2})\/(\1[0-9a-f]{62})\.([a-z]+)$/
const RECORD = /^records\/([^/]+)\/([0-9a-f]{64})\.json$/
const ENTRY = /^cursors\/([^/]+)\/([0-9a-f]{64})\/\d+\.json$/
const SIGN = /^(?:processes|leases)\/(?:[^/.]+\.)?([^/.]+)\.json$/
const TASK = /^slurm\/([^/.]+)\/\d+\/\d+(?:\.answer)?\.json$/
const TEMPORARY = /\/\.[^/]+\.tmp$/

const isFormat = Schema.is(Format)

/** None for what is not the store's, and for journals, logs and pins: those are a person's. */
export const placeOf = (path: string): Place | undefined => {
  if (TEMPORARY.test(path)) return { _tag: "Temporary" }
  if (path.startsWith("quarantine/")) return { _tag: "Quarantined" }
  const [, , digest, format] = ARTIFACT.exec(path) ?? []
  if (isFormat(format)) return { _tag: "Artifact", ref: { digest, format } }
  const record = RECORD.exec(path)
  if (record !== null) return { _tag: "Record", of: { stage: record[1], key: record[2] } }
  const entry = ENTRY.exec(path)
  if (entry !== null) return { _tag: "Entry", of: { stage: entry[1], key: entry[2] } }
  const sign = SIGN.exec(path) ?? TASK.exec(path)
  return sign === null ? undefined : { _tag: "Sign", process: sign[1] }
}
