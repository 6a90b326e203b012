/** Where numbers come from: the stages of one claim, and the register of all stages of a run. */
import type { ClaimRow } from "../../pipelines/Claim.ts"
import type { Manifest } from "../manifest.ts"
import { determinismText, type Provenance, recordsArtifacts, seedOf } from "../provenance.ts"
import { type Child, type Html, h } from "./html.ts"
import { disclosure, short, slug, table, UNRECORDED, when } from "./parts.ts"

type StageEntry = Manifest["stages"][number]

/** @param register the id prefix of the register that the stage is listed in */
const stageAnchor = ({ key }: StageEntry, register: string) => `${register}-stage-${slug(key)}`

/** Of the reproduction itself; each ablation has one of its own. */
export const RUN = "run"

const codeOf = ({ code }: StageEntry): Child =>
  code === undefined ? UNRECORDED : h("code", { title: code }, short(code))

/** The grade; where the run is too old to say so much, that. */
const gradeOf = (stage: StageEntry): string =>
  stage.determinism === undefined && stage.artifacts === undefined ? UNRECORDED : determinismText(stage)

const acceptedOf = ({ accepted }: StageEntry): Child =>
  accepted === undefined ? null : h("div", { class: "warning" }, `other code's, accepted because ${accepted}`)

const seconds = (value: number): string => value.toFixed(2)

/** The stages behind a claim's numbers. */
export const provenanceTable = (
  { id, artifacts, measured }: ClaimRow,
  manifest: Manifest,
  { stages, unknown }: Provenance,
): Child => {
  if (artifacts.length === 0) return h("p", {}, "No artifact was read for this claim.")
  const digests = disclosure(
    `${artifacts.length} artifacts that the numbers were read from`,
    h("ul", { class: "digests" }, ...artifacts.map((digest) => h("li", {}, h("code", {}, digest)))),
  )
  if (!recordsArtifacts(manifest)) {
    return [h("p", {}, `Which stages wrote these artifacts: ${UNRECORDED}.`), digests]
  }
  const seeds = measured.perSeed.map(({ seed }) => seed)
  return [
    table({
      caption: `${id}: stages that the numbers were read from`,
      class: "stages",
      columns: ["Stage", "Key", "Code", "Seed", "Determinism", "Machine", "When", "Seconds"],
      rows: stages.map((stage) => [
        [stage.label, acceptedOf(stage)],
        h("a", { href: `#${stageAnchor(stage, RUN)}` }, h("code", {}, short(stage.key))),
        codeOf(stage),
        seedOf(stage.label, seeds) ?? "–",
        gradeOf(stage),
        stage.machine,
        when(stage.committedAt),
        seconds(stage.seconds),
      ]),
    }),
    unknown.length === 0
      ? null
      : h("p", { class: "warning" }, `${unknown.length} artifacts were written by no stage of this run.`),
    digests,
  ]
}

/** Every stage of a run, with digests in full. */
export const stageRegister = (of: string, id: string, { stages }: Pick<Manifest, "stages">): Html =>
  disclosure(
    `All ${stages.length} stages of ${of}, with their keys`,
    table({
      caption: `Stages of ${of}`,
      class: "stages",
      columns: ["Stage", "Key", "Code", "Determinism", "Machine", "When", "Seconds"],
      ids: stages.map((stage) => stageAnchor(stage, id)),
      rows: stages.map((stage) => [
        [stage.label, acceptedOf(stage)],
        h("code", { class: "digest" }, stage.key),
        stage.code === undefined ? UNRECORDED : h("code", { class: "digest" }, stage.code),
        gradeOf(stage),
        stage.machine,
        when(stage.committedAt),
        seconds(stage.seconds),
      ]),
    }),
  )
