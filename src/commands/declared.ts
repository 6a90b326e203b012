/** What the name of a pipeline, or the file of an ablation, stands for on the command line. */
import { Effect, Result } from "effect"
import { ablationNames, loadAblation } from "../pipelines/ablations.ts"
import { nodesOf } from "../pipelines/evaluateAblation.ts"
import { closure, type Node } from "../pipelines/Node.ts"
import { paperScale, smokeScale } from "../pipelines/paper.ts"
import { type PlannedAblation, planAblation } from "../pipelines/planAblation.ts"
import { configOf, paperNodes, pipelines } from "../pipelines/registry.ts"
import type { Scale } from "../pipelines/scale.ts"
import { SingleConfig, single, targets } from "../pipelines/single.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { override, settingsOf } from "./overrides.ts"

export interface Asked {
  readonly pipeline: string
  readonly scale: Scale
  readonly set: ReadonlyArray<string>
}

export interface Declared {
  readonly name: string
  readonly description: string
  readonly config: unknown
  /** Every stage that it consists of, upstream first. */
  readonly nodes: ReadonlyArray<Node<unknown>>
}

/** An ablation that ships, or one in a file, with `set` over what it declares. */
export const declaredAblation = Effect.fn("declaredAblation")(function* ({ pipeline, scale, set }: Asked) {
  const settings = yield* settingsOf(set)
  const names = yield* ablationNames.pipe(Effect.orDie)
  if (/\.(ya?ml|json)$/.test(pipeline)) {
    const { ablationInFile } = yield* Effect.promise(() => import("./ablationFile.ts"))
    const planned = yield* ablationInFile(pipeline, scale, settings)
    if (!names.includes(planned.name)) return planned
    return yield* new BadInput({
      message: `${pipeline}: results are named after the file, and an ablation named ${planned.name} ships; give the file another name`,
    })
  }
  if (!names.includes(pipeline)) {
    const valid = [...pipelines.map(({ name }) => name), ...names]
    return yield* new BadInput({ message: `unknown pipeline ${pipeline}${suggest(pipeline, valid)}` })
  }
  return yield* planAblation(pipeline, yield* Effect.orDie(loadAblation(pipeline)), scale, settings).pipe(
    Result.mapError(({ path, message }) => {
      const given = set.findLast((setting) => setting.startsWith(`${path.at(-1)}=`))
      return new BadInput({
        message: `${given === undefined ? `ablation ${pipeline}` : `--set ${given}`}: ${message}`,
      })
    }),
    Effect.fromResult,
  )
})

const descriptionOf = (pipeline: string): string =>
  pipelines.find(({ name }) => name === pipeline)?.description ?? ""

const asDeclared = (planned: PlannedAblation): Declared => ({
  name: planned.name,
  description: planned.description,
  config: planned.config,
  nodes: nodesOf(planned),
})

export const declared = Effect.fn("declared")(function* (asked: Asked) {
  const { pipeline, scale, set } = asked
  switch (pipeline) {
    case "single": {
      const config = yield* override(SingleConfig, configOf(scale), set)
      const nodes = closure(targets(single(config)))
      return { name: pipeline, description: descriptionOf(pipeline), config, nodes } satisfies Declared
    }
    case "reproduce-all": {
      if (set.length > 0) {
        return yield* new BadInput({
          message: `--set ${set[0]}: reproduce-all takes no --set; single does, and every ablation`,
        })
      }
      const config = scale === "paper" ? paperScale : smokeScale
      return {
        name: pipeline,
        description: descriptionOf(pipeline),
        config,
        nodes: paperNodes(config),
      } satisfies Declared
    }
    default:
      return asDeclared(yield* declaredAblation(asked))
  }
})
