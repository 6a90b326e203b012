/** References to content in the artifact store: what stages take and return instead of bytes. */
import { Schema } from "effect"

/** SHA-256 in lower-case hexadecimal. */
export const Digest = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{64}$/, { expected: "a SHA-256 digest in hexadecimal" }),
)

export const Format = Schema.Literals(["safetensors", "parquet", "json"])
export type Format = typeof Format.Type

/** An immutable blob: its digest is its name. */
export const ArtifactRef = Schema.Struct({
  digest: Digest,
  format: Format,
  bytes: Schema.Int,
})
export type ArtifactRef = typeof ArtifactRef.Type
