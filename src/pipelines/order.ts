/** In which order nodes had better be computed: as planned, but for what everybody would wait for at the end. */
import { beginning } from "../services/schedule.ts"
import { typicalSeconds } from "./costs.ts"
import { sources } from "./derive.ts"
import type { Node } from "./Node.ts"

/** The nodes, planned upstream first, in the order in which `workers` of them at a time had better begin. */
export const inOrder = (
  planned: ReadonlyArray<Node<unknown>>,
  workers: number,
): ReadonlyArray<Node<unknown>> => {
  const places = new Map(planned.map((node, place) => [node, place]))
  const jobs = planned.map(({ stage, upstream }) => ({
    seconds: typicalSeconds[stage] ?? 0,
    after: upstream.flatMap(sources).flatMap((source) => places.get(source) ?? []),
  }))
  return beginning(jobs, workers).map((place) => planned[place])
}
