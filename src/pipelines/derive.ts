/** Values read from the outputs of nodes: cheap, never stored, and nodes themselves, so that claims can build on them. */
import { Effect } from "effect"
import { Node, type StageServices } from "./Node.ts"

/** Stands for the stage of a node that runs none. */
const DERIVED = "derived"

/** What `f` reads from the output of `from`, artifacts included. */
export const read = <A, B>(
  from: Node<A>,
  f: (output: A) => Effect.Effect<B, Error, StageServices>,
): Node<B> =>
  new Node(DERIVED, DERIVED, [from], (resolve) => Effect.flatMap(resolve(from), (output) => f(output)))

export const map = <A, B>(from: Node<A>, f: (output: A) => B): Node<B> =>
  read(from, (output) => Effect.succeed(f(output)))

/** The outputs of many nodes, computed side by side. */
export const all = <A>(nodes: ReadonlyArray<Node<A>>): Node<ReadonlyArray<A>> =>
  new Node(DERIVED, DERIVED, nodes, (resolve) =>
    Effect.forEach(nodes, (node) => resolve(node), { concurrency: "unbounded" }),
  )

export const zip = <A, B, C>(a: Node<A>, b: Node<B>, f: (a: A, b: B) => C): Node<C> =>
  new Node(DERIVED, DERIVED, [a, b], (resolve) =>
    Effect.map(Effect.all([resolve(a), resolve(b)], { concurrency: "unbounded" }), ([a, b]) => f(a, b)),
  )

/** a ÷ b, or null where either is. */
export const ratio = (a: Node<number | null>, b: Node<number | null>): Node<number | null> =>
  zip(a, b, (a, b) => (a === null || b === null || b === 0 ? null : a / b))

/** Whether a node runs a stage. */
export const isStage = (node: Node<unknown>): boolean => node.stage !== DERIVED

/** The nearest nodes upstream, or the node itself, that run a stage. */
export const sources = (node: Node<unknown>): ReadonlyArray<Node<unknown>> =>
  isStage(node) ? [node] : [...new Set(node.upstream.flatMap(sources))]
