/** `--otlp`: traces and metrics of a run for an OpenTelemetry collector. Nothing of it is loaded without. */
import { Effect, Layer, Option } from "effect"
import { Flag } from "effect/cli"
import packageJson from "../../package.json" with { type: "json" }
import { asTrace } from "../services/telemetry.ts"
import { BadInput } from "./BadInput.ts"

export const otlp = Flag.String("otlp").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription(
    "Send traces and metrics to this OpenTelemetry collector, such as http://127.0.0.1:4318; its credentials in OTEL_EXPORTER_OTLP_HEADERS",
  ),
  Flag.optional,
)

/** As it is, where it is not percent-encoded. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** `name=value,…`, percent-encoded, as OpenTelemetry's own programs take it. */
const headers = (text = ""): Record<string, string> =>
  Object.fromEntries(
    text
      .split(",")
      .filter((pair) => pair.includes("="))
      .map((pair) => {
        const at = pair.indexOf("=")
        return [pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]
      }),
  )

/** Whether it is a web address, without credentials, that everybody could read. */
const isCollector = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return /^https?:$/.test(protocol) && username === "" && password === ""
}

/** Runs a command as one trace, which is sent where that is asked for. */
export const watched =
  (command: string, url: Option.Option<string>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      if (Option.isNone(url)) return yield* effect
      if (!isCollector(url.value)) {
        return yield* new BadInput({
          message: `--otlp: expected a URL such as http://127.0.0.1:4318 without credentials, which belong into OTEL_EXPORTER_OTLP_HEADERS`,
        })
      }
      const { layerJson } = yield* Effect.promise(() => import("effect/observability/Otlp"))
      const FetchHttpClient = yield* Effect.promise(() => import("effect/http/FetchHttpClient"))
      const telemetry = layerJson({
        baseUrl: url.value,
        resource: { serviceName: "grokscope", serviceVersion: packageJson.version },
        headers: headers(process.env.OTEL_EXPORTER_OTLP_HEADERS),
        loggerMergeWithExisting: true,
      }).pipe(Layer.provide(FetchHttpClient.layer))
      return yield* effect.pipe(asTrace(command), Effect.provide(telemetry))
    })
