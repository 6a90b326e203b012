/**
 * A pipeline as a value: nodes that say which stage is run on what. Pure until `evaluate` walks it.
 *
 * A node's input is the stage's input in which any part may be another node; the part is then that node's output.
 */
import { Effect, Predicate, Schema } from "effect"
import type { ArtifactStore } from "../services/ArtifactStore.ts"
import type { Progress } from "../services/Progress.ts"
import type { Stage } from "../services/Stage.ts"
import { StageRunner } from "../services/StageRunner.ts"
import type { TensorEngine } from "../services/TensorEngine.ts"

/** What stages may ask for. */
export type StageServices = ArtifactStore | Progress | TensorEngine

/** Looks up, or computes, the output of a node. */
type Resolve = <Output>(node: Node<Output>) => Effect.Effect<Output, Error, StageServices | StageRunner>

export class Node<out Output> {
  readonly label: string
  readonly stage: string
  readonly upstream: ReadonlyArray<Node<unknown>>
  readonly run: (resolve: Resolve) => Effect.Effect<Output, Error, StageServices | StageRunner>

  constructor(
    label: string,
    stage: string,
    upstream: ReadonlyArray<Node<unknown>>,
    run: (resolve: Resolve) => Effect.Effect<Output, Error, StageServices | StageRunner>,
  ) {
    this.label = label
    this.stage = stage
    this.upstream = upstream
    this.run = run
  }
}

/** An input in which any part may be the output of a node. */
export type Wired<Input> =
  | Node<Input>
  | (Input extends string | number | boolean | null
      ? Input
      : { readonly [Field in keyof Input]: Wired<Input[Field]> })

const nodesIn = (value: unknown): ReadonlyArray<Node<unknown>> => {
  if (value instanceof Node) return [value]
  if (Array.isArray(value)) return value.flatMap(nodesIn)
  return Predicate.isObject(value) ? Object.values(value).flatMap(nodesIn) : []
}

/** Replaces every node in `value` by its output. */
const resolveAll = (
  value: unknown,
  resolve: Resolve,
): Effect.Effect<unknown, Error, StageServices | StageRunner> => {
  if (value instanceof Node) return resolve(value)
  if (Array.isArray(value)) return Effect.forEach(value, (part) => resolveAll(part, resolve))
  if (!Predicate.isObject(value)) return Effect.succeed(value)
  return Effect.forEach(Object.entries(value), ([key, part]) =>
    Effect.map(resolveAll(part, resolve), (resolved) => [key, resolved] as const),
  ).pipe(Effect.map(Object.fromEntries))
}

/** A node that runs `stage` on `input`. `qualifier` tells it from others of the same stage in the same pipeline. */
export const node = <Input, Output, E extends Error, R extends StageServices>(
  stage: Stage<Input, Output, E, R>,
  input: Wired<Input>,
  qualifier?: string,
): Node<Output> => {
  const label = qualifier === undefined ? stage.name : `${stage.name} ${qualifier}`
  return new Node(label, stage.name, nodesIn(input), (resolve) =>
    Effect.gen(function* () {
      const runner = yield* StageRunner
      const resolved = yield* resolveAll(input, resolve)
      const decoded = yield* Schema.decodeUnknownEffect(Schema.toType(stage.input))(resolved)
      return (yield* runner.run(stage, decoded, label)).output
    }),
  )
}

/** The nodes that `targets` depend on and themselves, upstream first, each once. */
export const closure = (targets: ReadonlyArray<Node<unknown>>): ReadonlyArray<Node<unknown>> => {
  const seen = new Set<Node<unknown>>()
  const visit = (current: Node<unknown>): void => {
    if (seen.has(current)) return
    for (const upstream of current.upstream) visit(upstream)
    seen.add(current)
  }
  for (const target of targets) visit(target)
  return [...seen]
}

/** A function that gives each node's output, running each node at most once. */
export const evaluator = (): Resolve => {
  const outputs = new Map<Node<unknown>, unknown>()
  const resolve: Resolve = <Output>(target: Node<Output>) =>
    Effect.suspend(() => {
      if (outputs.has(target)) return Effect.succeed(outputs.get(target) as Output)
      return Effect.tap(target.run(resolve), (output) => Effect.sync(() => outputs.set(target, output)))
    })
  return resolve
}
