/** An OpenTelemetry collector that keeps what it is sent, for tests. */
import { createServer, type IncomingMessage } from "node:http"
import { Effect, Schema } from "effect"

const Attribute = Schema.Struct({
  key: Schema.String,
  value: Schema.Struct({
    stringValue: Schema.optionalKey(Schema.NullOr(Schema.String)),
    intValue: Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.Finite, Schema.String]))),
    doubleValue: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  }),
})
export const Span = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optionalKey(Schema.NullOr(Schema.String)),
  name: Schema.String,
  attributes: Schema.Array(Attribute),
})
const Traces = Schema.fromJsonString(
  Schema.Struct({
    resourceSpans: Schema.Array(
      Schema.Struct({ scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) })) }),
    ),
  }),
)

export interface Request {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}

/** A collector that keeps what it is sent. */
export const collector = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly requests: Array<Request>; readonly close: () => void }>(
    (resume) => {
      const requests: Array<Request> = []
      const server = createServer((request, response) => {
        bodyOf(request).then((body) => {
          requests.push({ path: request.url ?? "", authorization: request.headers.authorization, body })
          response.setHeader("content-type", "application/json").end("{}")
        })
      }).listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" ? address?.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, requests, close: () => server.close() }))
      })
    },
  ),
  ({ close }) => Effect.sync(close),
)

export const spansOf = (requests: ReadonlyArray<Request>) =>
  requests
    .filter(({ path }) => path === "/v1/traces")
    .flatMap(({ body }) => Schema.decodeUnknownSync(Traces)(body).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))

export const attribute = ({ attributes }: typeof Span.Type, name: string) => {
  const value = attributes.find(({ key }) => key === `grokscope.${name}`)?.value
  return value?.stringValue ?? value?.doubleValue ?? value?.intValue ?? undefined
}
