/**
 * What is told to whoever watches from outside (`--otlp`): one span for each stage that is asked for, with its key and what became of
 * it, and counts of the same. Nothing within a stage is traced: a training alone would be thousands of spans.
 */
import { Context, Effect, Metric, Tracer } from "effect"

/** The span that those of stages belong below; none where nobody watches. */
const RunSpan = Context.Reference<Tracer.AnySpan | undefined>("grokscope/services/telemetry/RunSpan", {
  defaultValue: () => undefined,
})

/** The span of the stage that runs in this fiber. */
const StageSpan = Context.Reference<Tracer.Span | undefined>("grokscope/services/telemetry/StageSpan", {
  defaultValue: () => undefined,
})

/** Says something of the stage that runs in this fiber. */
export const annotate = (attributes: Readonly<Record<string, string | number>>): Effect.Effect<void> =>
  Effect.map(StageSpan, (span) => {
    for (const [name, value] of Object.entries(attributes)) span?.attribute(`grokscope.${name}`, value)
  })

/** A span as it is named to another process. */
export interface SpanName {
  readonly traceId: string
  readonly spanId: string
}

/** The span of the stage that runs in this fiber, for a process that computes it; null outside of stages. */
export const spanName: Effect.Effect<SpanName | null> = Effect.map(StageSpan, (span) =>
  span === undefined ? null : { traceId: span.traceId, spanId: span.spanId },
)

/** Spans of stages belong below one of another process. */
export const below =
  (parent: SpanName | null) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    parent === null ? effect : Effect.provideService(effect, RunSpan, Tracer.externalSpan(parent))

/** A run as a span, with those of its stages below and nothing else. */
export const asTrace =
  (name: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.useSpan(name, { root: true }, (span) =>
      effect.pipe(Effect.provideService(RunSpan, span), Effect.withTracerEnabled(false)),
    )

/** A stage as a span, where somebody watches. */
export const asSpan =
  (stage: string, label: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(RunSpan, (parent) => {
      if (parent === undefined) return effect
      const attributes = { "grokscope.label": label }
      return Effect.useSpan(stage, { parent, attributes }, (span) =>
        effect.pipe(Effect.provideService(StageSpan, span), Effect.withTracerEnabled(false)),
      ).pipe(Effect.withTracerEnabled(true))
    })

const stages = Metric.counter("grokscope.stages", { description: "Stages that were asked for, by outcome" })
const seconds = Metric.counter("grokscope.seconds", { description: "Seconds that computing stages took" })
const bytes = Metric.counter("grokscope.bytes", { description: "Bytes of artifacts that stages stored" })

/** What became of a stage: found in the store, computed here, or by another process. */
export const outcome = Effect.fnUntraced(function* (
  is: "found" | "computed" | "computed elsewhere",
  stage: string,
  key: string,
  figures: { readonly seconds: number; readonly bytes: number } = { seconds: 0, bytes: 0 },
) {
  yield* annotate({ key, outcome: is, ...figures })
  const attributes = { stage, outcome: is }
  yield* Metric.update(Metric.withAttributes(stages, attributes), 1)
  yield* Metric.update(Metric.withAttributes(seconds, { stage }), figures.seconds)
  yield* Metric.update(Metric.withAttributes(bytes, { stage }), figures.bytes)
})
