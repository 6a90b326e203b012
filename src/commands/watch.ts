/** `watch`: the report as a page on 127.0.0.1, with what goes on on the store while it is looked at. */
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { hostname } from "node:os"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import {
  Console,
  Effect,
  FileSystem,
  Layer,
  Option,
  Path,
  Schedule,
  Schema,
  Stream,
  SubscriptionRef,
} from "effect"
import { Command, Flag } from "effect/cli"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { activity } from "../services/activity.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { engineLayer } from "../services/engine/engines.ts"
import { Leases } from "../services/Leases.ts"
import { admit } from "./admission.ts"
import { BadInput } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { onlyLooking } from "./interruption.ts"
import { engine, store } from "./options.ts"
import { ablations, from } from "./report.ts"
import { storeLayer } from "./services.ts"

const port = Flag.Int("port").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Port on 127.0.0.1; 0: any that is free"),
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
  Flag.withDefault(4747),
)

/** Between two looks at the store. */
const INTERVAL = "1 second"

// Loading these takes longer than everything that other commands load.
const loadPage = Effect.promise(() =>
  Promise.all([
    import("../report/html/write.ts"),
    import("../report/html/page.ts"),
    import("../report/html/liveSection.ts"),
    import("../report/html/html.ts"),
    import("./live.ts"),
  ]).then(([write, page, section, html, live]) => ({ ...write, ...page, ...section, ...html, ...live })),
)

interface Event {
  readonly name: "live" | "page"
  readonly data: string
}

const encoder = new TextEncoder()
const encodeEvent = ({ name, data }: Event): Uint8Array =>
  encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)

interface Options {
  readonly from: string
  readonly ablations: string
  readonly store: string
  readonly port: number
}

/** When the newest of what the page is made of was written. */
const writtenAt = Effect.fnUntraced(function* ({ from, ablations }: Options) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const names = yield* Effect.orElseSucceed(fs.readDirectory(ablations), () => [])
  const manifests = [from, ...names.map((name) => join(ablations, name))].map((at) =>
    join(at, "manifest.json"),
  )
  const times = yield* Effect.forEach(manifests, (file) =>
    Effect.map(Effect.option(fs.stat(file)), (info) =>
      Option.getOrElse(
        Option.map(
          Option.flatMap(info, ({ mtime }) => mtime),
          (time) => time.getTime(),
        ),
        () => 0,
      ),
    ),
  )
  return times.join()
})

/** Serves until it is interrupted. */
const serve = Effect.fn("serve")(function* (options: Options) {
  const page = yield* loadPage
  const token = randomBytes(24).toString("base64url")
  const look = page.makeLook(options.store)
  const live = yield* SubscriptionRef.make(yield* look)
  const written = yield* SubscriptionRef.make(yield* writtenAt(options))

  yield* Effect.gen(function* () {
    const now = yield* look
    const before = yield* SubscriptionRef.get(live)
    if (JSON.stringify(now) !== JSON.stringify(before)) yield* SubscriptionRef.set(live, now)
    const at = yield* writtenAt(options)
    if (at !== (yield* SubscriptionRef.get(written))) yield* SubscriptionRef.set(written, at)
  }).pipe(
    // What is just being written may not be readable: the next look will be.
    Effect.ignore,
    Effect.repeat(Schedule.spaced(INTERVAL)),
    Effect.forkScoped,
  )

  const events = Stream.merge(
    Stream.map(
      SubscriptionRef.changes(live),
      (now): Event => ({ name: "live", data: page.fragment(page.liveContent(now)) }),
    ),
    Stream.map(Stream.drop(SubscriptionRef.changes(written), 1), (): Event => ({ name: "page", data: "" })),
  ).pipe(Stream.map(encodeEvent))

  const server = yield* NodeHttpServer.make(() => createServer(), {
    host: "127.0.0.1",
    port: options.port,
    gracefulShutdownTimeout: "200 millis",
  }).pipe(
    Effect.mapError(
      ({ cause }) =>
        new BadInput({ message: `--port ${options.port}: ${String(cause)}; choose another, or 0 for any` }),
    ),
  )
  if (!("port" in server.address)) return yield* Effect.die(new Error("a server without a port"))
  const { port } = server.address

  const respond = Effect.gen(function* () {
    const { method, url, headers } = yield* HttpServerRequest.HttpServerRequest
    const admitted = admit({ method, url, host: headers.host, token: headers["x-token"] }, { port, token })
    const common = {
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
      "cross-origin-resource-policy": "same-origin",
    }
    switch (admitted._tag) {
      case "Refused":
        return HttpServerResponse.text(`${admitted.because}\n`, { status: admitted.status, headers: common })
      case "Events":
        return method === "HEAD"
          ? HttpServerResponse.empty({ headers: { ...common, "content-type": "text/event-stream" } })
          : HttpServerResponse.stream(events, { contentType: "text/event-stream", headers: common })
      case "Page": {
        const source = yield* Effect.option(page.readSource(options.from, options.ablations))
        const section = page.liveSection(yield* SubscriptionRef.get(live), admitted.hasToken)
        const nonce = randomBytes(16).toString("base64url")
        const text = page.reportPage(Option.getOrUndefined(source), {
          live: section,
          script: { nonce, code: page.liveScript },
        })
        return HttpServerResponse.html(text).pipe(HttpServerResponse.setHeaders(common))
      }
      case "Stop": {
        const { working } = yield* activity
        for (const { pid, host } of working) if (host === hostname()) process.kill(pid, "SIGINT")
        return HttpServerResponse.empty({ status: 204, headers: common })
      }
    }
  })
  yield* onlyLooking
  yield* server.serve(respond)
  yield* Console.log(`http://127.0.0.1:${port}/?token=${token}`)
  yield* Console.error(
    "Ctrl-C stops watching; runs go on. The token in the address is for stopping runs: keep it",
  )
  return yield* Effect.never
})

export const watch = Command.make("watch", { from, ablations, store, engine, port }, (options) =>
  Effect.scoped(serve(options)).pipe(
    Effect.provide(
      Leases.layer("watch").pipe(
        Layer.provideMerge(storeLayer(options)),
        Layer.provideMerge(
          engineLayer(options.engine, { threads: 1 }).pipe(Layer.provideMerge(CodeFingerprint.layer)),
        ),
      ),
    ),
  ),
).pipe(
  Command.withDescription(descriptions.watch),
  Command.withExamples([
    { command: "pnpm pipeline watch", description: "Prints the address; open it beside a run" },
    {
      command: "pnpm pipeline watch --from artifacts/smoke --port 0",
      description: "Of smoke runs, on any port",
    },
  ]),
)
