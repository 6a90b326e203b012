/** `--otlp`, as a collector receives it. */
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { attribute, collector, spansOf } from "./collector.ts"
import { cli } from "./process.ts"

const run = (store: string, url: string) => [
  ...["run", "single", "--scale", "smoke", "--store", store, "--otlp", url],
  ...settings(tiny).flatMap((setting) => ["--set", setting]),
]

const TIMEOUT = 180_000

describe("--otlp", () => {
  layer(NodeServices.layer, { excludeTestServices: true, timeout: TIMEOUT })((it) => {
    it.effect("sends one trace a run, with a span for each stage", () =>
      Effect.gen(function* () {
        const { url, requests } = yield* collector
        const store = join(yield* temporaryDirectory, "store")
        const env = { OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20token" }
        for (const outcome of ["computed", "found"]) {
          requests.length = 0
          const { code, stderr } = yield* cli(run(store, url), { env })
          assert.strictEqual(code, 0, stderr)
          assert.isTrue(requests.every(({ authorization }) => authorization === "Bearer token"))
          const spans = spansOf(requests)
          assert.lengthOf(new Set(spans.map(({ traceId }) => traceId)), 1)
          const [root, ...others] = spans.filter(({ parentSpanId }) => (parentSpanId ?? "") === "")
          assert.lengthOf(others, 0)
          assert.match(root.name, /^run single --scale smoke/)
          const stages = spans.filter(({ parentSpanId }) => parentSpanId === root.spanId)
          assert.sameMembers(
            stages.map((span) => attribute(span, "label")),
            [...labels],
          )
          for (const span of stages) {
            assert.strictEqual(attribute(span, "outcome"), outcome)
            assert.match(String(attribute(span, "key")), /^[0-9a-f]{64}$/)
          }
          if (outcome === "computed") {
            const [train] = stages.filter(({ name }) => name === "train")
            assert.isAbove(Number(attribute(train, "bytes")), 0)
            assert.isAbove(Number(attribute(train, "stepsPerSecond")), 0)
          }
          const metrics = requests.filter(({ path }) => path === "/v1/metrics")
          assert.include(metrics.map(({ body }) => body).join("\n"), "grokscope.stages")
        }
      }),
    )

    it.effect(
      "does without a collector that is not there, and refuses what is no URL",
      () =>
        Effect.gen(function* () {
          const store = join(yield* temporaryDirectory, "store")
          const { code, stderr } = yield* cli(run(store, "http://127.0.0.1:9"))
          assert.strictEqual(code, 0, stderr)
          for (const url of ["localhost", "ftp://host", "http://user:secret@host"]) {
            const refused = yield* cli(run(store, url))
            assert.strictEqual(refused.code, 2)
            assert.match(refused.stderr, /^error: --otlp: expected a URL [^\n]+\n$/)
            assert.notInclude(refused.stderr, "secret")
          }
        }),
      TIMEOUT,
    )
  })
})
