/** `list [name]`: the pipelines and ablations, and the graph of their stages. */
import { Console, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ablationNames, loadAblation } from "../pipelines/ablations.ts"
import type { Node } from "../pipelines/Node.ts"
import { pipelines } from "../pipelines/registry.ts"
import { BadInput } from "./BadInput.ts"
import { declared } from "./declared.ts"
import { descriptions } from "./descriptions.ts"
import { dot, MOST_SHOWN, mermaid } from "./graph.ts"
import { json } from "./options.ts"
import { printJson } from "./printJson.ts"

const Graph = Schema.Array(Schema.Struct({ node: Schema.String, after: Schema.Array(Schema.String) }))

/** What `--json` prints: everything, or what the one name stands for. */
export const Listing = Schema.Struct({
  pipelines: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      description: Schema.String,
      /** Every stage, upstream first; at the paper's sizes. */
      nodes: Graph,
    }),
  ),
  ablations: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      description: Schema.String,
      /** Only where it was asked for by name. */
      nodes: Schema.optionalKey(Graph),
    }),
  ),
})

type Nodes = ReadonlyArray<Node<unknown>>

const graphData = (nodes: Nodes): typeof Graph.Type =>
  nodes.map(({ label, upstream }) => ({ node: label, after: upstream.map(({ label }) => label) }))

const graphLines = (nodes: Nodes): ReadonlyArray<string> => {
  const width = Math.max(...nodes.map(({ label }) => label.length))
  return nodes.map(({ label, upstream }) =>
    upstream.length === 0
      ? `  ${label}`
      : `  ${label.padEnd(width)} after ${upstream.map(({ label }) => label).join(", ")}`,
  )
}

const countLines = (nodes: Nodes): ReadonlyArray<string> =>
  [...Map.groupBy(nodes, ({ stage }) => stage)].map(
    ([stage, ofStage]) => `  ${stage.padEnd(22)}${String(ofStage.length).padStart(4)}`,
  )

const stageLines = (name: string, nodes: Nodes): ReadonlyArray<string> =>
  nodes.length > MOST_SHOWN
    ? [`Stages of ${name}: ${nodes.length}`, ...countLines(nodes)]
    : [`Stages of ${name}`, ...graphLines(nodes)]

const nameLine = ({ name, description }: { readonly name: string; readonly description: string }): string =>
  `  ${name.padEnd(20)}${description}`

const Described = Schema.Struct({ description: Schema.String })

/** Name and description of every ablation that ships. */
const shipped = Effect.gen(function* () {
  const names = yield* ablationNames
  return yield* Effect.forEach(names, (name) =>
    loadAblation(name).pipe(
      Effect.flatMap(Schema.decodeUnknownEffect(Described)),
      Effect.map(({ description }) => ({ name, description })),
    ),
  )
}).pipe(Effect.orDie)

const listAll = Effect.fnUntraced(function* (json: boolean) {
  const ablations = yield* shipped
  const listed = pipelines.map(({ name, description, nodes }) => ({ name, description, nodes: nodes() }))
  if (json) {
    const data = listed.map(({ nodes, ...pipeline }) => ({ ...pipeline, nodes: graphData(nodes) }))
    return yield* printJson(Listing, { pipelines: data, ablations })
  }
  const lines = [
    "Pipelines",
    ...listed.map(nameLine),
    "",
    "Ablations, for `run`",
    ...ablations.map(nameLine),
    ...listed.flatMap(({ name, nodes }) => ["", ...stageLines(name, nodes)]),
  ]
  return yield* Console.log(lines.join("\n"))
})

interface Form {
  readonly json: boolean
  readonly dot: boolean
  readonly mermaid: boolean
}

const listOne = Effect.fnUntraced(function* (pipeline: string, form: Form) {
  const { name, description, nodes } = yield* declared({ pipeline, scale: "paper", set: [] })
  if (form.dot) return yield* Console.log(dot(name, nodes))
  if (form.mermaid) return yield* Console.log(mermaid(nodes))
  if (!form.json) {
    return yield* Console.log([nameLine({ name, description }), "", ...stageLines(name, nodes)].join("\n"))
  }
  const one = { name, description, nodes: graphData(nodes) }
  const isPipeline = pipelines.some((known) => known.name === name)
  return yield* printJson(
    Listing,
    isPipeline ? { pipelines: [one], ablations: [] } : { pipelines: [], ablations: [one] },
  )
})

const form = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

export const list = Command.make(
  "list",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("A pipeline, an ablation that ships, or an ablation's file; default: all"),
      Argument.optional,
    ),
    dot: form("dot", "Print the graph of its stages for Graphviz"),
    mermaid: form("mermaid", "Print the graph of its stages for Mermaid"),
    json,
  },
  Effect.fn(function* ({ name, ...form }) {
    const asked = (["dot", "mermaid", "json"] as const).filter((one) => form[one])
    if (asked.length > 1) {
      return yield* new BadInput({
        message: `${asked.map((one) => `--${one}`).join(" and ")}: give one of them`,
      })
    }
    if (Option.isSome(name)) return yield* listOne(name.value, form)
    if (form.dot || form.mermaid) {
      return yield* new BadInput({
        message: `--${asked[0]}: say whose graph, such as \`pnpm pipeline list single --${asked[0]}\``,
      })
    }
    return yield* listAll(form.json)
  }),
).pipe(
  Command.withDescription(descriptions.list),
  Command.withExamples([
    { command: "pnpm pipeline list", description: "All pipelines and ablations" },
    { command: "pnpm pipeline list heads", description: "The stages of one" },
    {
      command: "pnpm pipeline list single --dot | dot -Tsvg > single.svg",
      description: "Draw them with Graphviz",
    },
  ]),
)
