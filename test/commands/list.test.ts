import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { dot, dotText, mermaid, mermaidText } from "../../src/commands/graph.ts"
import { Listing } from "../../src/commands/list.ts"
import { ablationNames } from "../../src/pipelines/ablations.ts"
import { Node } from "../../src/pipelines/Node.ts"
import { cli, lines } from "./process.ts"

const node = (label: string, ...upstream: ReadonlyArray<Node<unknown>>) =>
  new Node<unknown>(label, label.split(" ")[0], upstream, () => Effect.void)

describe("the graph of a pipeline", () => {
  it("has a line for each node, and for each that it comes after", () => {
    const data = node("data")
    const train = node('train "a\\b" <i>', data)
    assert.strictEqual(
      dot("x", [data, train]),
      [
        'digraph "x" {',
        "  rankdir=LR",
        "  node [shape=box]",
        '  n0 [label="data"]',
        '  n1 [label="train \\"a\\\\b\\" <i>"]',
        "  n0 -> n1",
        "}",
      ].join("\n"),
    )
    assert.strictEqual(
      mermaid([data, train]),
      ["flowchart LR", '  n0["data"]', '  n1["train #34;a#92;b#34; #60;i#62;"]', "  n0 --> n1"].join("\n"),
    )
  })

  it("of many nodes has one for each kind of stage", () => {
    const data = node("data")
    const trains = Array.from({ length: 50 }, (_, i) => node(`train ${i}`, data))
    const text = mermaid([data, ...trains])
    assert.deepStrictEqual(text.split("\n"), [
      "flowchart LR",
      '  n0["data × 1"]',
      '  n1["train × 50"]',
      "  n0 --> n1",
    ])
  })

  it("keeps what a label says from being syntax", () => {
    assert.strictEqual(dotText('"]; n9 [label="\nx'), '\\"]; n9 [label=\\" x')
    assert.strictEqual(mermaidText('"]\n;#%`'), "#34;#93;#10;#59;#35;#37;#96;")
  })
})

describe("list", () => {
  it.live("names every ablation that ships, as text and as data", () =>
    Effect.gen(function* () {
      const names = yield* ablationNames
      const { stdout } = yield* cli(["list"])
      for (const name of names) assert.match(stdout, new RegExp(`^  ${name} +\\w`, "m"))
      const json = yield* cli(["list", "--json"])
      const { ablations } = Schema.decodeUnknownSync(Schema.fromJsonString(Listing))(json.stdout)
      assert.deepStrictEqual(
        ablations.map(({ name }) => name),
        names,
      )
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.live("of one name shows that one alone", () =>
    Effect.gen(function* () {
      const { stdout } = yield* cli(["list", "heads", "--json"])
      const { pipelines, ablations } = Schema.decodeUnknownSync(Schema.fromJsonString(Listing))(stdout)
      assert.deepStrictEqual(pipelines, [])
      assert.deepStrictEqual(
        ablations.map(({ name }) => name),
        ["heads"],
      )
      assert.isAbove(ablations[0].nodes?.length ?? 0, 40)
      const drawn = yield* cli(["list", "reproduce-all", "--dot"])
      assert.strictEqual(drawn.code, 0)
      assert.match(drawn.stdout, /^digraph "reproduce-all" \{\n/)
      assert.match(drawn.stdout, /\[label="train × \d+"\]/)
    }),
  )

  it.live.each([
    ["an unknown name", ["haeds"], "did you mean heads?"],
    ["a graph of everything", ["--dot"], "--dot: say whose graph"],
    ["two forms at once", ["single", "--dot", "--json"], "--dot and --json"],
  ] as const)("refuses %s", ([, args, says]) =>
    Effect.gen(function* () {
      const { code, stdout, stderr } = yield* cli(["list", ...args])
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      assert.lengthOf(lines(stderr), 1)
      assert.include(stderr, says)
    }),
  )
})
