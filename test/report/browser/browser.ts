/** The installed Chromium, driven without a window; none where it is not installed. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { Effect, Schema } from "effect"
import { type Browser, chromium, type Page } from "playwright-core"

const places = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
]

export const executable = places.find((place) => place !== undefined && existsSync(place))

if (executable === undefined) {
  console.log("skipped: no Chromium; install it, or set CHROMIUM to where it is, to test pages in a browser")
}

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
]

/** A browser that is closed with the scope. */
export const launched = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: executable ?? "", args })),
  (browser) => Effect.promise(() => browser.close()),
)

export interface Screen {
  readonly width: number
  readonly scheme: "light" | "dark"
}

export const screens: ReadonlyArray<Screen> = [375, 1280].flatMap((width) =>
  (["light", "dark"] as const).map((scheme) => ({ width, scheme })),
)

/** What a page did while it was open, beside being shown. */
export interface Visit {
  readonly page: Page
  /** Addresses that were asked for, that of the page itself first. */
  readonly requests: Array<string>
  readonly errors: Array<string>
}

/** @param bypassing the page's policy: axe is a script, which the page itself would not run */
export const visit = Effect.fn("visit")(function* (
  browser: Browser,
  { width, scheme }: Screen,
  address: string,
  { bypassing = false }: { readonly bypassing?: boolean } = {},
) {
  const context = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newContext({ viewport: { width, height: 800 }, colorScheme: scheme, bypassCSP: bypassing }),
    ),
    (context) => Effect.promise(() => context.close()),
  )
  const page = yield* Effect.promise(() => context.newPage())
  const visited: Visit = { page, requests: [], errors: [] }
  page.on("request", (request) => visited.requests.push(request.url()))
  page.on("console", (message) => {
    if (message.type() === "error") visited.errors.push(message.text())
  })
  page.on("pageerror", (error) => visited.errors.push(error.message))
  yield* Effect.promise(() => page.goto(address))
  return visited
})

const Violations = Schema.Array(
  Schema.Struct({
    id: Schema.String,
    impact: Schema.NullOr(Schema.String),
    nodes: Schema.Array(Schema.Struct({ html: Schema.String })),
  }),
)

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js")

/** What axe finds that is serious or critical: the rule, and where. */
export const seriousViolations = Effect.fn("seriousViolations")(function* (page: Page) {
  yield* Effect.promise(() => page.addScriptTag({ path: axe }))
  const found = yield* Effect.promise(() =>
    page.evaluate("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)"),
  )
  return (yield* Schema.decodeUnknownEffect(Violations)(found))
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map(({ html }) => html.slice(0, 200))
          .join(" | ")}`,
    )
})
