/** `list`: the pipelines and the graph of their stages. */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { closure } from "../pipelines/Node.ts"
import { configOf, pipelines, single, targets } from "../pipelines/registry.ts"
import { json } from "./options.ts"

export const list = Command.make(
  "list",
  { json },
  Effect.fn(function* ({ json }) {
    const nodes = closure(targets(single(configOf("paper")))).map(({ label, upstream }) => ({
      node: label,
      after: upstream.map(({ label }) => label),
    }))
    if (json) return yield* Console.log(JSON.stringify({ pipelines, nodes }, null, 2))
    const lines = pipelines.map(({ name, description }) => `  ${name.padEnd(16)}${description}`)
    const graph = nodes.map(({ node, after }) =>
      after.length === 0 ? `  ${node}` : `  ${node.padEnd(36)}after ${after.join(", ")}`,
    )
    return yield* Console.log(["Pipelines", ...lines, "", "Stages of each", ...graph].join("\n"))
  }),
).pipe(
  Command.withDescription("List the pipelines and the stages they consist of"),
  Command.withExamples([{ command: "pnpm pipeline list", description: "All pipelines" }]),
)
