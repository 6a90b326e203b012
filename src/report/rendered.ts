/** What is rendered from a reproduction's tables and claims, and can be rendered again without computing anything. */
import { Effect, FileSystem, Path, Schema } from "effect"
import { ClaimRow } from "../pipelines/Claim.ts"
import type { Comparison } from "../pipelines/comparison.ts"
import { claimsDocument } from "./claimsText.ts"
import { figures } from "./figures.ts"
import { Manifest } from "./manifest.ts"
import { readAblations } from "./overviewAblations.ts"
import { fromParquet, type Tables } from "./tables.ts"

export interface Results {
  readonly tables: Tables
  readonly claims: ReadonlyArray<ClaimRow>
  /** What the numbers are worth. */
  readonly evidence: string
  /** Ablations that stand in the overview. */
  readonly ablations: ReadonlyArray<Comparison>
}

/** Text by file name: `claims.md` and every figure as SVG. */
export const rendered = ({ tables, claims, evidence, ablations }: Results): ReadonlyMap<string, string> =>
  new Map([
    ["claims.md", claimsDocument(claims, evidence)],
    ...[...figures(tables, claims, evidence, ablations)].map(
      ([name, svg]) => [`figures/${name}.svg`, svg] as const,
    ),
  ])

/** The results that a directory holds. */
export const readResults = Effect.fn("readResults")(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = (name: string) => fs.readFileString(path.join(directory, name))
  const table = <Name extends keyof Tables>(name: Name) =>
    Effect.flatMap(fs.readFile(path.join(directory, "tables", `${name}.parquet`)), (bytes) =>
      fromParquet(name, bytes),
    )
  const tables: Tables = {
    runs: yield* table("runs"),
    accuracy: yield* table("accuracy"),
    coupling: yield* table("coupling"),
    sweeps: yield* table("sweeps"),
    multitask: yield* table("multitask"),
    alignment: yield* table("alignment"),
    energy: yield* table("energy"),
    interventions: yield* table("interventions"),
    "intervention-curves": yield* table("intervention-curves"),
    spectra: yield* table("spectra"),
    "per-example": yield* table("per-example"),
    "centroid-spectrum": yield* table("centroid-spectrum"),
    "joint-fourier": yield* table("joint-fourier"),
    centroids: yield* table("centroids"),
    harmonics: yield* table("harmonics"),
  }
  const claims = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(ClaimRow)))(
    yield* text("claims.json"),
  )
  const manifest = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest))(
    yield* text("manifest.json"),
  )
  const { evidence } = manifest
  return { tables, claims, evidence, manifest, ablations: yield* readAblations(directory, evidence) }
})
