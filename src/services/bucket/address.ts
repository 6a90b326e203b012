/**
 * Where buckets stand among directories: the store `s3://lab/grok` is the directory `~/.cache/grokscope/s3/lab/grok`, and what is said
 * to that is said to the bucket (`bucketFiles.ts`). So a store has one name everywhere: in threads, in tasks, in messages.
 */
import { homedir } from "node:os"
import { isAbsolute, join, sep } from "node:path"

/** Holds a directory for each bucket; ends in a separator. As its specification says, a relative XDG_CACHE_HOME is none. */
const mounts = () => {
  const { XDG_CACHE_HOME = "" } = process.env
  return (
    join(isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), ".cache"), "grokscope", "s3") + sep
  )
}

const ADDRESS = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[\w.-]+)*)\/?$/

export const isAddress = (text: string): boolean => text.startsWith("s3:")

/** The directory that stands for an address such as `s3://lab/grok`; undefined where it is none. */
export const directoryOf = (address: string): string | undefined => {
  const [, bucket, prefix] = ADDRESS.exec(address) ?? []
  const isPlain = prefix?.split("/").every((name) => name !== "." && name !== "..")
  return isPlain ? join(mounts(), bucket, prefix) : undefined
}

export interface Place {
  readonly bucket: string
  /** Its names parted by `/`; empty for the whole bucket. */
  readonly key: string
}

/** What a path is in a bucket; undefined for the paths of this machine. */
export const placeAt = (path: string): Place | undefined => {
  const above = mounts()
  if (!path.startsWith(above)) return undefined
  const [bucket, ...names] = path.slice(above.length).split(sep)
  return { bucket, key: names.join("/") }
}

/** What a person calls a path: the address of what is in a bucket. */
export const nameOf = (path: string): string => {
  const place = placeAt(path)
  return place === undefined ? path : `s3://${join(place.bucket, place.key)}`
}
