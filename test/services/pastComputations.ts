/** Records of computations that never were. */
import type { StageRecord } from "../../src/services/ArtifactStore.ts"

export const HERE = "this machine"

export const past = ({
  key = "a",
  stage = "train",
  input = {},
  output = {},
  seconds = 10,
  at = "2026-01-01T00:00:00.000Z",
  machine = HERE,
  cursor = key,
}: {
  readonly key?: string
  readonly stage?: string
  readonly input?: unknown
  readonly output?: unknown
  readonly seconds?: number
  readonly at?: string
  readonly machine?: string
  readonly cursor?: string
} = {}): StageRecord => ({
  stage,
  key,
  cursor,
  output,
  preimage: { stage, code: "c", input },
  provenance: { committedAt: at, seconds, machine, node: "v24" },
})
