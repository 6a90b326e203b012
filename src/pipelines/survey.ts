/** What a run would find and what it would compute, as far as can be told without computing: each node asked of a runner that only looks. */
import { Effect } from "effect"
import { below } from "../services/differences.ts"
import { NotStored, type Ran, StageRunner } from "../services/StageRunner.ts"
import { type StageCode, stageCode } from "../services/stageCode.ts"
import { digestOf } from "../services/store/canonical.ts"
import { isStage, sources } from "./derive.ts"
import { evaluator, filled, type Node, partsOf, type Resolve } from "./Node.ts"

export type State =
  | { readonly _tag: "Found"; readonly ran: Ran; readonly output: unknown }
  /** Its key is known, and the store has no output under it. */
  | { readonly _tag: "Missing"; readonly key: string; readonly cursor: string; readonly preimage: unknown }
  /** It has no key before these are computed. What comes from them is undefined in the pre-image. */
  | { readonly _tag: "Awaiting"; readonly nodes: ReadonlyArray<Node<unknown>>; readonly preimage: unknown }

/** A part of a pre-image that comes from upstream. */
export interface Given {
  /** Dotted path in the pre-image. */
  readonly path: string
  readonly node: Node<unknown>
  /** Whether it is still to be computed. */
  readonly awaited: boolean
}

export interface Surveyed {
  readonly node: Node<unknown>
  readonly state: State
  readonly parts: ReadonlyArray<Given>
  /** Equal where two nodes are one computation. */
  readonly identity: string
}

/** Where a stage's input stands in its pre-image. */
const INPUT = "input"

/** The nearest nodes upstream that run stages. */
const stagesBefore = (node: Node<unknown>): ReadonlyArray<Node<unknown>> => [
  ...new Set(node.upstream.flatMap(sources)),
]

/** The runner at hand, and the key that it was last asked for and found. */
const noting = Effect.map(StageRunner, (runner) => {
  let found = ""
  const noted = StageRunner.of({
    ...runner,
    run: (stage, input, label) =>
      Effect.tap(runner.run(stage, input, label), ({ key }) =>
        Effect.sync(() => {
          found = key
        }),
      ),
  })
  return { noted, lastFound: Effect.sync(() => found) }
})

/** What the store knows of a node. */
type Answer =
  | { readonly _tag: "Found"; readonly key: string; readonly output: unknown }
  | Exclude<State, { readonly _tag: "Found" }>

/** A function that looks nodes up; those upstream come first. */
const makeLookUp = Effect.fnUntraced(function* (
  nodes: ReadonlyArray<Node<unknown>>,
  codes: ReadonlyMap<string, unknown>,
) {
  const { noted, lastFound } = yield* noting
  const resolve: Resolve = evaluator(nodes)
  const outputs = new Map<Node<unknown>, unknown>()
  const isKnown = (node: Node<unknown>) => sources(node).every((source) => outputs.has(source))

  return Effect.fnUntraced(
    function* (node: Node<unknown>) {
      const answered = yield* Effect.result(resolve(node))
      if (answered._tag === "Success") {
        outputs.set(node, answered.success)
        const found: Answer = { _tag: "Found", key: yield* lastFound, output: answered.success }
        return found
      }
      const { failure } = answered
      if (!(failure instanceof NotStored)) return yield* Effect.fail(failure)
      const awaited = stagesBefore(node).filter((before) => !outputs.has(before))
      const { key, cursor, preimage } = failure
      const missing: Answer = { _tag: "Missing", key, cursor, preimage }
      if (awaited.length === 0) return missing
      const given = new Map<Node<unknown>, unknown>()
      for (const part of partsOf(node.input)) {
        if (isKnown(part.node)) given.set(part.node, yield* resolve(part.node))
      }
      const input = filled(node.input, (part) => given.get(part))
      const awaiting: Answer = {
        _tag: "Awaiting",
        nodes: awaited,
        preimage: { ...Object(codes.get(node.stage)), [INPUT]: input },
      }
      return awaiting
    },
    Effect.provideService(StageRunner, noted),
  )
})

/**
 * Surveys the nodes that run stages, which come upstream first, with the runner at hand: `StageRunner.peeking`. `stages`
 * are those that nodes may run. In a pre-image that is not known in full, the input is as the pipeline has it: for plain
 * data that is what is stored.
 */
export const survey = Effect.fn("survey")(function* (
  nodes: ReadonlyArray<Node<unknown>>,
  stages: ReadonlyArray<StageCode>,
) {
  // All at once: one after another, as stages are first asked for, they would take as long as all look-ups.
  const codes = yield* Effect.forEach(
    stages,
    (stage) => Effect.map(stageCode(stage), (code): readonly [string, unknown] => [stage.name, code]),
    { concurrency: "unbounded" },
  )
  const lookUp = yield* makeLookUp(nodes, new Map(codes))
  const answers = new Map(
    yield* Effect.forEach(nodes.filter(isStage), (node) =>
      Effect.map(lookUp(node), (answer): readonly [Node<unknown>, Answer] => [node, answer]),
    ),
  )
  const { history } = yield* StageRunner
  const ran = new Map((yield* history).map((each) => [each.key, each]))

  const isAwaited = (node: Node<unknown>) =>
    sources(node).some((source) => answers.get(source)?._tag !== "Found")
  const identities = new Map<Node<unknown>, string>()
  /** The key, or of what has none yet: the stage and the identities of what goes into it. */
  const identityOf = (node: Node<unknown>): string => {
    const answer = answers.get(node)
    const identity =
      identities.get(node) ??
      (answer !== undefined && "key" in answer
        ? answer.key
        : isStage(node)
          ? digestOf({ stage: node.stage, input: filled(node.input, identityOf) })
          : `derived ${identities.size}`)
    identities.set(node, identity)
    return identity
  }
  return yield* Effect.forEach(
    answers,
    Effect.fnUntraced(function* ([node, answer]) {
      const parts = partsOf(node.input).map(
        (part): Given => ({ path: below(INPUT, part.path), node: part.node, awaited: isAwaited(part.node) }),
      )
      const of = { node, parts, identity: identityOf(node) }
      if (answer._tag !== "Found") return { ...of, state: answer } satisfies Surveyed
      const found = ran.get(answer.key)
      if (found === undefined)
        return yield* Effect.die(new Error(`${node.label} was found and is not in the history`))
      return { ...of, state: { _tag: "Found", ran: found, output: answer.output } } satisfies Surveyed
    }),
  )
})
