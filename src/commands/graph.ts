/** The graph of a pipeline for Graphviz and Mermaid. */
import type { Node } from "../pipelines/Node.ts"

/** More nodes than this are drawn, and listed, by stage. */
export const MOST_SHOWN = 40

interface Box {
  readonly text: string
  /** Indices of the boxes before it. */
  readonly after: ReadonlyArray<number>
}

const boxesOf = (nodes: ReadonlyArray<Node<unknown>>): ReadonlyArray<Box> => {
  const index = new Map(nodes.map((node, i) => [node, i]))
  return nodes.map(({ label, upstream }) => ({
    text: label,
    after: [...new Set(upstream.flatMap((node) => index.get(node) ?? []))],
  }))
}

/** A box for each kind of stage, with how many there are. */
const grouped = (nodes: ReadonlyArray<Node<unknown>>): ReadonlyArray<Box> => {
  const groups = [...Map.groupBy(nodes, ({ stage }) => stage)]
  const index = new Map(groups.map(([stage], i) => [stage, i]))
  return groups.map(([stage, members], own) => {
    const upstream = members.flatMap((node) => node.upstream.flatMap(({ stage }) => index.get(stage) ?? []))
    return {
      text: `${stage} × ${members.length}`,
      after: [...new Set(upstream)].filter((i) => i !== own),
    }
  })
}

const shown = (nodes: ReadonlyArray<Node<unknown>>): ReadonlyArray<Box> =>
  nodes.length > MOST_SHOWN ? grouped(nodes) : boxesOf(nodes)

const edges = (
  boxes: ReadonlyArray<Box>,
  edge: (from: number, to: number) => string,
): ReadonlyArray<string> => boxes.flatMap(({ after }, to) => after.map((from) => edge(from, to)))

/** Text within double quotes of Graphviz, where a backslash begins an escape. */
export const dotText = (text: string): string =>
  text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll(/\s*\n\s*/g, " ")

/** Text within double quotes of Mermaid, which knows HTML's entities by number, written with `#`. */
export const mermaidText = (text: string): string =>
  text.replaceAll(/[^\p{L}\p{N} /=.,:×+_-]/gu, (sign) => `#${sign.codePointAt(0)};`)

export const dot = (name: string, nodes: ReadonlyArray<Node<unknown>>): string => {
  const boxes = shown(nodes)
  return [
    `digraph "${dotText(name)}" {`,
    "  rankdir=LR",
    "  node [shape=box]",
    ...boxes.map(({ text }, i) => `  n${i} [label="${dotText(text)}"]`),
    ...edges(boxes, (from, to) => `  n${from} -> n${to}`),
    "}",
  ].join("\n")
}

export const mermaid = (nodes: ReadonlyArray<Node<unknown>>): string => {
  const boxes = shown(nodes)
  return [
    "flowchart LR",
    ...boxes.map(({ text }, i) => `  n${i}["${mermaidText(text)}"]`),
    ...edges(boxes, (from, to) => `  n${from} --> n${to}`),
  ].join("\n")
}
