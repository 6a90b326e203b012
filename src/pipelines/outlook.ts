/** What the computations of a pipeline are expected to cost, judged by the history of the store. */
import { Effect, type FileSystem, type Path } from "effect"
import type { ArtifactStore } from "../services/ArtifactStore.ts"
import { below } from "../services/differences.ts"
import { type Forecast, makeForecast } from "../services/forecast.ts"
import { type History, readHistory } from "../services/history.ts"
import { machine } from "../services/machine.ts"
import { laws } from "./costs.ts"
import { isStage } from "./derive.ts"
import { filled, type Node, partsOf } from "./Node.ts"
import type { Given, Surveyed } from "./survey.ts"

type Past = Pick<History, "timed" | "labels">

/** A computation that is not stored. */
export interface Pending {
  readonly node: Node<unknown>
  readonly preimage: unknown
  readonly parts: ReadonlyArray<Given>
  /** Entries that its cursor has. */
  readonly entries: number
}

/**
 * A forecast for each of `pending`, which come upstream first, where there is history. Outputs that are not known are
 * taken to be like those of neighbours.
 */
export const outlook = (
  pending: ReadonlyArray<Pending>,
  { timed, labels }: Past,
  known: ReadonlyMap<Node<unknown>, unknown> = new Map(),
): ReadonlyMap<Node<unknown>, Forecast> => {
  const outputs = new Map(known)
  const forecasts = new Map<Node<unknown>, Forecast>()
  const byStage = new Map<string, ReturnType<typeof makeForecast>>()
  for (const { node, ...computation } of pending) {
    const { stage, label } = node
    const past = { machine: machine(), labels, law: laws[stage] }
    const forecast = byStage.get(stage) ?? makeForecast(timed.get(stage) ?? [], past)
    byStage.set(stage, forecast)
    const input = filled(node.input, (part) => outputs.get(part))
    const expected = forecast({ ...computation, input, label })
    if (expected === undefined) continue
    forecasts.set(node, expected)
    outputs.set(node, expected.output)
  }
  return forecasts
}

/** The outlook after a survey. `entries` are those of the cursors of what is missing. */
export const outlookOf = (
  surveyed: ReadonlyArray<Surveyed>,
  history: Past,
  entries: ReadonlyMap<string, number>,
): ReadonlyMap<Node<unknown>, Forecast> => {
  const pending = surveyed.flatMap(({ node, parts, identity, state }): ReadonlyArray<Pending> => {
    if (state._tag === "Found") return []
    return [{ node, parts, preimage: state.preimage, entries: entries.get(identity) ?? 0 }]
  })
  const outputs = surveyed.flatMap(
    ({ node, state }): ReadonlyArray<readonly [Node<unknown>, unknown]> =>
      state._tag === "Found" ? [[node, state.output]] : [],
  )
  return outlook(pending, history, new Map(outputs))
}

/** Records of a stage, the newest, that progress judges by: enough to tell minutes from hours, and quick. */
const RECENT = 100

/** Seconds that each node is expected to take, by label, whether it is stored or not: from its own parameters alone. */
const expectedSeconds = Effect.fn("expectedSeconds")(function* (nodes: ReadonlyArray<Node<unknown>>) {
  const pending = nodes.filter(isStage).map(
    (node): Pending => ({
      node,
      preimage: { input: filled(node.input, () => undefined) },
      parts: partsOf(node.input).map((part) => ({
        path: below("input", part.path),
        node: part.node,
        awaited: true,
      })),
      entries: 0,
    }),
  )
  const { timed, labels } = yield* readHistory
  const recent = [...timed].map(([stage, records]) => [stage, records.slice(0, RECENT)] as const)
  const forecasts = outlook(pending, { timed: new Map(recent), labels })
  return new Map([...forecasts].map(([{ label }, { seconds }]) => [label, seconds.likely]))
})

/** The same for progress, with the services at hand; without history, or where it cannot be read, there are none. */
export const expectations = Effect.map(
  Effect.context<ArtifactStore | FileSystem.FileSystem | Path.Path>(),
  (services) => (nodes: ReadonlyArray<Node<unknown>>) =>
    expectedSeconds(nodes).pipe(
      Effect.catchTag("StoreFailure", () => Effect.succeed<ReadonlyMap<string, number>>(new Map())),
      Effect.provideContext(services),
    ),
)
