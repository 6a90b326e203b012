/** Which stages a claim's numbers were read from, as far as a manifest says. */
import type { ClaimRow } from "../pipelines/Claim.ts"
import { describeGrade } from "../services/Grade.ts"
import type { Manifest } from "./manifest.ts"

type StageEntry = Manifest["stages"][number]

export interface Provenance {
  /** Stages whose outputs name an artifact of the claim, by label. */
  readonly stages: ReadonlyArray<StageEntry>
  /** Digests that no stage of the manifest names: all of them where the run did not record artifacts. */
  readonly unknown: ReadonlyArray<string>
}

/** Whether the manifest says which artifacts its stages wrote; those of older runs do not. */
export const recordsArtifacts = ({ stages }: Manifest): boolean =>
  stages.length > 0 && stages.every(({ artifacts }) => artifacts !== undefined)

/** A function from claims to provenance; what it takes to answer quickly is made once. */
export const provenanceIn = ({ stages }: Manifest) => {
  const writers = new Map<string, Array<StageEntry>>()
  for (const stage of stages) {
    for (const digest of stage.artifacts ?? []) {
      const known = writers.get(digest)
      if (known === undefined) writers.set(digest, [stage])
      else known.push(stage)
    }
  }
  return ({ artifacts }: Pick<ClaimRow, "artifacts">): Provenance => {
    const found = new Set(artifacts.flatMap((digest) => writers.get(digest) ?? []))
    return {
      stages: [...found].sort((a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : 0)),
      unknown: artifacts.filter((digest) => !writers.has(digest)),
    }
  }
}

/** The seed in a stage's label, such as `train add/42`: one of the run's. */
export const seedOf = (label: string, seeds: ReadonlyArray<number>): number | null => {
  const numbers = [...label.matchAll(/(?<![\d.])\d+(?![\d.])/g)].map(([digits]) => Number(digits))
  return numbers.find((number) => seeds.includes(number)) ?? null
}

/** How well a stage's output is determined; an output that nobody computed twice has no grade. */
export const determinismText = ({ determinism }: StageEntry): string =>
  determinism === undefined ? "not computed twice" : describeGrade(determinism)
