import { request } from "node:http"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { settings, tiny } from "../pipelines/tiny.ts"
import { executable, launched, screens, seriousViolations, visit } from "../report/browser/browser.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli, repository, start } from "./process.ts"

const TIMEOUT = 180_000

/** A server on a port of its own, its store, and the address that it prints. */
const watching = Effect.fn("watching")(function* (from: string) {
  const store = join(yield* temporaryDirectory, "store")
  const server = yield* start(["watch", "--store", store, "--from", from, "--port", "0"])
  const address = yield* server.printed.pipe(
    Effect.flatMap(({ stdout }) => Effect.try(() => new URL(stdout.trim()))),
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 600 }),
  )
  return { server, store, address }
})

interface Asked {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** By node:http: fetch sends no Host header but its own. */
const ask = ({ port }: URL, { path = "/", method = "GET", headers = {} }: Asked) =>
  Effect.callback<{ readonly status: number | undefined; readonly headers: NodeJS.Dict<string | string[]> }>(
    (resume) => {
      const sent = request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
        resume(Effect.succeed({ status: response.statusCode, headers: response.headers }))
        response.destroy()
      })
      sent.end()
    },
  )

describe("watch", () => {
  it.live(
    "serves its own pages under its own name, changes nothing without the token, and ends at once",
    () =>
      Effect.gen(function* () {
        const { server, address } = yield* watching(join(repository, "artifacts/paper"))
        const status = (asked: Asked) => Effect.map(ask(address, asked), ({ status }) => status)
        assert.strictEqual(address.hostname, "127.0.0.1")
        assert.strictEqual(yield* status({}), 200)
        assert.strictEqual(yield* status({ method: "HEAD" }), 200)
        assert.strictEqual(yield* status({ path: "/events" }), 200)
        assert.strictEqual(yield* status({ path: "/artifacts/paper/claims.json" }), 404)
        assert.strictEqual(yield* status({ headers: { host: "evil.example" } }), 403)
        assert.strictEqual(yield* status({ method: "POST", path: "/stop" }), 403)
        assert.strictEqual(
          yield* status({ method: "POST", path: "/stop", headers: { "x-token": "guessed" } }),
          403,
        )
        const token = address.searchParams.get("token") ?? ""
        assert.isAtLeast(token.length, 32)
        assert.strictEqual(
          yield* status({ method: "POST", path: "/stop", headers: { "x-token": token } }),
          204,
        )
        const { headers } = yield* ask(address, {})
        assert.strictEqual(headers["x-frame-options"], "DENY")

        const stopped = Date.now()
        yield* server.kill("SIGINT")
        const { code, stderr } = yield* server.finished
        assert.strictEqual(code, 130)
        assert.include(stderr, "stopped looking")
        assert.isBelow(Date.now() - stopped, 2000)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )

  it.live(
    "refuses a port that is taken, in one line",
    () =>
      Effect.gen(function* () {
        const { address, store } = yield* watching("nowhere")
        const { code, stderr } = yield* cli(["watch", "--store", store, "--port", address.port])
        assert.strictEqual(code, 2)
        assert.match(stderr, /^error: --port \d+: .*EADDRINUSE.*choose another/)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )
})

describe.skipIf(executable === undefined)("watch in a browser", () => {
  it.live(
    "is usable by everyone, asks nobody else, and shows a run as it goes",
    () =>
      Effect.gen(function* () {
        // The rest of the page is tested as a file.
        const { address, store } = yield* watching("nowhere")
        const browser = yield* launched
        for (const screen of screens) {
          const { page } = yield* visit(browser, screen, address.href, { bypassing: true })
          assert.deepStrictEqual(yield* seriousViolations(page), [])
          const [content, window] = yield* Effect.promise(() =>
            page.evaluate<[number, number]>("[document.documentElement.scrollWidth, innerWidth]"),
          )
          assert.isAtMost(content, window)
        }
        const { page, requests, errors } = yield* visit(browser, screens[0], address.href)
        const now = page.locator("#live-content")
        yield* Effect.promise(() => page.getByText("connected: this section changes").waitFor())
        assert.include((yield* Effect.promise(() => now.textContent())) ?? "", "No runs yet")
        const ran = yield* cli([
          ...["run", "single", "--scale", "smoke", "--store", store],
          ...settings(tiny).flatMap((field) => ["--set", field]),
        ])
        assert.strictEqual(ran.code, 0, ran.stderr)
        yield* Effect.promise(() => now.getByText("done", { exact: true }).waitFor())
        assert.include((yield* Effect.promise(() => now.textContent())) ?? "", "run single --scale smoke")
        assert.deepStrictEqual(errors, [])
        assert.deepStrictEqual(
          requests.filter((one) => !one.startsWith(address.origin) && !one.startsWith("data:")),
          [],
        )
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )
})
