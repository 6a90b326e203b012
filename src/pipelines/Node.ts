/**
 * A pipeline as a value: nodes that say which stage is run on what. Pure until `evaluate` walks it.
 *
 * A node's input is the stage's input in which any part may be another node; the part is then that node's output.
 */
import { Cause, Deferred, Effect, Exit, Predicate, Schema } from "effect"
import { below } from "../services/differences.ts"
import { Turn } from "../services/executor/turns.ts"
import { Progress } from "../services/Progress.ts"
import type { Stage, StageServices } from "../services/Stage.ts"
import { StageRunner } from "../services/StageRunner.ts"

export type { StageServices }

/** Looks up, or computes, the output of a node. */
export type Resolve = <Output>(
  node: Node<Output>,
) => Effect.Effect<Output, Error, StageServices | StageRunner>

export class Node<out Output> {
  readonly label: string
  readonly stage: string
  readonly upstream: ReadonlyArray<Node<unknown>>
  readonly run: (resolve: Resolve) => Effect.Effect<Output, Error, StageServices | StageRunner>
  /** What its stage runs on, with nodes where their outputs go; undefined where it runs none. For looking only. */
  readonly input: unknown

  constructor(
    label: string,
    stage: string,
    upstream: ReadonlyArray<Node<unknown>>,
    run: (resolve: Resolve) => Effect.Effect<Output, Error, StageServices | StageRunner>,
    input: unknown = undefined,
  ) {
    this.label = label
    this.stage = stage
    this.upstream = upstream
    this.run = run
    this.input = input
  }
}

/** An input in which any part may be the output of a node. */
export type Wired<Input> =
  | Node<Input>
  | (Input extends string | number | boolean | null
      ? Input
      : { readonly [Field in keyof Input]: Wired<Input[Field]> })

/** A part of an input that is a node's output. */
export interface Part {
  /** Dotted, such as `rows.run`. */
  readonly path: string
  readonly node: Node<unknown>
}

/** The parts of an input that are outputs of nodes. */
export const partsOf = (value: unknown, path = ""): ReadonlyArray<Part> => {
  if (value instanceof Node) return [{ path, node: value }]
  const fields = Array.isArray(value) || Predicate.isObject(value) ? Object.entries(value) : []
  return fields.flatMap(([field, part]) => partsOf(part, below(path, field)))
}

/** An input with each node in it replaced. */
export const filled = (value: unknown, fill: (node: Node<unknown>) => unknown): unknown => {
  if (value instanceof Node) return fill(value)
  if (Array.isArray(value)) return value.map((part) => filled(part, fill))
  if (!Predicate.isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, filled(part, fill)]))
}

const sideBySide = { concurrency: "unbounded" } as const

/** Replaces every node in `value` by its output; they are computed side by side. */
const resolveAll = (
  value: unknown,
  resolve: Resolve,
): Effect.Effect<unknown, Error, StageServices | StageRunner> => {
  if (value instanceof Node) return resolve(value)
  if (Array.isArray(value)) return Effect.forEach(value, (part) => resolveAll(part, resolve), sideBySide)
  if (!Predicate.isObject(value)) return Effect.succeed(value)
  return Effect.forEach(
    Object.entries(value),
    ([key, part]) => Effect.map(resolveAll(part, resolve), (resolved) => [key, resolved] as const),
    sideBySide,
  ).pipe(Effect.map(Object.fromEntries))
}

/** A node that runs `stage` on `input`. `qualifier` tells it from others of the same stage in the same pipeline. */
export const node = <Input, Output, E extends Error, R extends StageServices>(
  stage: Stage<Input, Output, E, R>,
  input: Wired<NoInfer<Input>>,
  qualifier = "",
): Node<Output> => {
  const label = `${stage.name} ${qualifier}`.trim()
  const upstream = partsOf(input).map(({ node }) => node)
  const run = Effect.fnUntraced(function* (resolve: Resolve) {
    const runner = yield* StageRunner
    const resolved = yield* resolveAll(input, resolve)
    const decoded = yield* Schema.decodeUnknownEffect(Schema.toType(stage.input))(resolved)
    return (yield* runner.run(stage, decoded, label)).output
  })
  return new Node(label, stage.name, upstream, run, input)
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

/**
 * A function that gives each node's output, running each node at most once, also when several ask for it at the same
 * time. Whoever asks first runs it; if they are interrupted, one of the others does. Where workers are scarce, nodes that
 * come earlier in `planned` go first.
 */
export const evaluator = (planned: ReadonlyArray<Node<unknown>> = []): Resolve => {
  const turns = new Map(planned.map((node, turn) => [node, turn]))
  type Answer = Effect.Effect<unknown, Error, StageServices | StageRunner>
  const answers = new Map<Node<unknown>, Deferred.Deferred<Answer>>()
  const resolve: Resolve = <Output>(target: Node<Output>) =>
    Effect.suspend(() => {
      const known = answers.get(target)
      // What a node's answer holds is that node's output.
      if (known !== undefined) return Effect.flatten(Deferred.await(known)) as ReturnType<Node<Output>["run"]>
      const answer = Deferred.makeUnsafe<Answer>()
      answers.set(target, answer)
      return Effect.onExit(
        Effect.provideService(target.run(resolve), Turn, turns.get(target) ?? 0),
        (exit) => {
          if (Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause))
            return Deferred.succeed(answer, exit)
          answers.delete(target)
          return Deferred.succeed(answer, resolve(target))
        },
      )
    })
  return resolve
}

/**
 * Asks for nodes, one after another in line, and waits for all, whatever fails. Whoever asks for several ends with the first that fails,
 * and what they alone had asked for ends with them: not where this has asked before.
 */
export const settle = (nodes: ReadonlyArray<Node<unknown>>, resolve: Resolve) =>
  Effect.forEach(nodes, (node) => Effect.result(resolve(node)), { ...sideBySide, discard: true })

/** Seconds by label, for progress to estimate from. */
type Expected = Effect.Effect<ReadonlyMap<string, number>>

/**
 * Computes `targets` and what they depend on side by side, the first ones first in line, and returns the function
 * that has their outputs at hand. The first failure is the result. Before that everything else is computed that does not
 * depend on what failed; or, with `failFast`, what still runs is interrupted.
 */
export const evaluateAll = Effect.fn("evaluateAll")(function* (
  targets: ReadonlyArray<Node<unknown>>,
  {
    failFast = false,
    expect,
  }: {
    readonly failFast?: boolean
    /** Seconds that nodes are expected to take, by label; asked for only if something is computed. */
    readonly expect?: ((nodes: ReadonlyArray<Node<unknown>>) => Expected) | undefined
  } = {},
) {
  const progress = yield* Progress
  const planned = closure(targets)
  yield* progress.plan(
    planned.map(({ label }) => label),
    expect?.(planned),
  )
  const resolve = evaluator(planned)
  if (!failFast) yield* settle(planned, resolve)
  yield* Effect.forEach(planned, resolve, { ...sideBySide, discard: true })
  return resolve
})
