/** `list`: the pipelines and the graph of their stages. */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import type { Node } from "../pipelines/Node.ts"
import { pipelines } from "../pipelines/registry.ts"
import { json } from "./options.ts"

/** More nodes than this are counted by stage instead of listed. */
const MOST_LISTED = 40

const graphOf = (nodes: ReadonlyArray<Node<unknown>>): ReadonlyArray<string> =>
  nodes.map(({ label, upstream }) =>
    upstream.length === 0
      ? `  ${label}`
      : `  ${label.padEnd(36)}after ${upstream.map(({ label }) => label).join(", ")}`,
  )

const countsOf = (nodes: ReadonlyArray<Node<unknown>>): ReadonlyArray<string> =>
  [...Map.groupBy(nodes, ({ stage }) => stage)].map(
    ([stage, ofStage]) => `  ${stage.padEnd(22)}${String(ofStage.length).padStart(4)}`,
  )

export const list = Command.make(
  "list",
  { json },
  Effect.fn(function* ({ json }) {
    const listed = pipelines.map(({ name, description, nodes }) => ({ name, description, nodes: nodes() }))
    if (json) {
      const data = listed.map(({ nodes, ...pipeline }) => ({
        ...pipeline,
        nodes: nodes.map(({ label, upstream }) => ({
          node: label,
          after: upstream.map(({ label }) => label),
        })),
      }))
      return yield* Console.log(JSON.stringify({ pipelines: data }, null, 2))
    }
    const lines = listed.map(({ name, description }) => `  ${name.padEnd(16)}${description}`)
    const graphs = listed.flatMap(({ name, nodes }) =>
      nodes.length > MOST_LISTED
        ? ["", `Stages of ${name}: ${nodes.length}`, ...countsOf(nodes)]
        : ["", `Stages of ${name}`, ...graphOf(nodes)],
    )
    return yield* Console.log(["Pipelines", ...lines, ...graphs].join("\n"))
  }),
).pipe(
  Command.withDescription("List the pipelines and the stages they consist of"),
  Command.withExamples([{ command: "pnpm pipeline list", description: "All pipelines" }]),
)
