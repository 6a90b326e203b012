/** Measures a planned ablation: a number with its interval for each cell and metric, beside its controls. */
import { Effect, Result } from "effect"
import { Progress } from "../services/Progress.ts"
import { StageRunner } from "../services/StageRunner.ts"
import { estimate } from "./Claim.ts"
import type { Cell, Comparison } from "./comparison.ts"
import { isStage } from "./derive.ts"
import { closure, evaluator, type Node, type Resolve, settle } from "./Node.ts"
import { inOrder } from "./order.ts"
import { expectations } from "./outlook.ts"
import type { PlannedAblation, PlannedCell } from "./planAblation.ts"
import { SMOKE_NOTE } from "./scale.ts"

const sideBySide = { concurrency: "unbounded" } as const

/** Every stage that an ablation runs, upstream first. */
export const nodesOf = ({ cells }: Pick<PlannedAblation, "cells">): ReadonlyArray<Node<unknown>> => {
  const numbers = cells.flatMap(({ runs }) =>
    runs.flatMap(({ measures }) =>
      measures.flatMap(({ value, beside }) => [value, ...Object.values(beside)]),
    ),
  )
  return closure(numbers).filter(isStage)
}

const unionOf = (names: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => [
  ...new Set(names.flat()),
]

/** A metric of a cell: the number of every seed, and those of the controls. */
const measure = Effect.fnUntraced(function* ({ runs }: PlannedCell, id: string, resolve: Resolve) {
  const ofSeeds = runs.flatMap(({ seed, measures }) =>
    measures.flatMap((measure) => (measure.id === id ? [{ seed, measure }] : [])),
  )
  const [first] = ofSeeds
  const unit = first?.measure.unit ?? ""
  const over = (numbers: ReadonlyArray<{ readonly seed: number; readonly node: Node<number | null> }>) =>
    Effect.forEach(
      numbers,
      ({ seed, node }) => Effect.map(resolve(node), (value) => ({ seed, value })),
      sideBySide,
    ).pipe(Effect.map((perSeed) => estimate(unit, perSeed)))
  const controls = unionOf(ofSeeds.map(({ measure }) => Object.keys(measure.beside)))
  const [own, beside] = yield* Effect.all(
    [
      over(ofSeeds.map(({ seed, measure }) => ({ seed, node: measure.value }))),
      Effect.forEach(
        controls,
        (name) =>
          over(
            ofSeeds.flatMap(({ seed, measure }) => {
              const node = measure.beside[name]
              return node === undefined ? [] : [{ seed, node }]
            }),
          ).pipe(Effect.map((estimate) => [name, estimate] as const)),
        sideBySide,
      ),
    ],
    sideBySide,
  )
  return { ...own, beside: Object.fromEntries(beside) }
})

/** What an ablation's numbers are worth. */
export const evidenceOf = ({
  scale,
  set,
  seeds,
}: Pick<PlannedAblation, "scale" | "set" | "seeds">): string => {
  const own = Object.entries(set).map(([field, value]) => ` and ${field} = ${JSON.stringify(value)}`)
  const sizes = scale === "smoke" ? SMOKE_NOTE : `the paper's sizes but for what varies${own.join("")}`
  return `${sizes}; seeds ${seeds.join(", ")}`
}

/**
 * The cells of an ablation, in their order; what fails with an error that `isTolerable` accepts is said in its cell. Everything else is
 * computed that does not depend on what failed; or, with `failFast`, what still runs is interrupted.
 */
export const evaluateAblation = Effect.fn("evaluateAblation")(function* (
  planned: PlannedAblation,
  { failFast, isTolerable }: { readonly failFast: boolean; readonly isTolerable: (error: Error) => boolean },
) {
  const progress = yield* Progress
  const nodes = nodesOf(planned)
  const expect = yield* expectations
  yield* progress.plan(
    nodes.map(({ label }) => label),
    expect(nodes),
  )
  const { workers } = yield* StageRunner
  const ordered = inOrder(nodes, workers)
  const resolve = evaluator(ordered)
  const evaluated = Effect.forEach(
    planned.cells,
    Effect.fnUntraced(function* (cell) {
      const outcomes = yield* Effect.forEach(
        planned.metrics,
        ({ id }) =>
          Effect.map(Effect.result(measure(cell, id, resolve)), (outcome) => [id, outcome] as const),
        sideBySide,
      )
      const measured: Record<string, Cell["measured"][string]> = {}
      const failed: Record<string, string> = {}
      for (const [id, outcome] of outcomes) {
        if (Result.isSuccess(outcome)) measured[id] = outcome.success
        else if (isTolerable(outcome.failure)) failed[id] = outcome.failure.message
        else return yield* Effect.fail(outcome.failure)
      }
      const { id, settings, isBase } = cell
      return { id, settings, isBase, measured, failed } satisfies Cell
    }),
    sideBySide,
  )
  const [, cells] = yield* Effect.all(
    [failFast ? Effect.void : settle(ordered, resolve), evaluated],
    sideBySide,
  )
  const { name, description, scale, seeds, axes, metrics, waived, config } = planned
  return {
    name,
    description,
    scale,
    evidence: evidenceOf(planned),
    seeds,
    axes,
    metrics,
    cells,
    waived,
    config,
  } satisfies Comparison
})
