/** What is going on on a store while a page is looked at: runs, what they compute, curves, claims as they fill in. */
import { Result } from "effect"
import type { ClaimRow } from "../../pipelines/Claim.ts"
import type { Activity } from "../../services/activity.ts"
import { checkSvg } from "./checkedSvg.ts"
import { claimsTable } from "./claimsSection.ts"
import { escaped } from "./escaped.ts"
import { all, type Child, type Html, h, inline } from "./html.ts"
import { list, slug, table, when } from "./parts.ts"

/** Test accuracy of a training that is at work. */
export interface Curve {
  readonly label: string
  readonly points: ReadonlyArray<{ readonly step: number; readonly accuracy: number }>
}

export interface Live extends Activity {
  readonly store: string
  readonly curves: ReadonlyArray<Curve>
  /** Claims that can be evaluated already, how many there are in all, and what they are worth. */
  readonly claims: { readonly rows: ReadonlyArray<ClaimRow>; readonly of: number; readonly note: string }
}

const [WIDTH, HEIGHT] = [300, 80]

const curveFigure = ({ label, points }: Curve): Child => {
  const last = points.at(-1)
  if (last === undefined || last.step === 0) return null
  const at = points.map(
    ({ step, accuracy }) =>
      `${((step / last.step) * (WIDTH - 10) + 5).toFixed(1)},${(HEIGHT - 5 - accuracy * (HEIGHT - 10)).toFixed(1)}`,
  )
  const said = `test accuracy ${last.accuracy.toFixed(3)} at step ${last.step.toLocaleString("en")}`
  const svg = checkSvg(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}"><title>${escaped(label)}: ${said}</title><polyline points="${at.join(" ")}" fill="none" stroke="#0072B2" stroke-width="2"/></svg>`,
    slug(`curve-${label}`),
  )
  return h(
    "figure",
    { class: "curve" },
    h("figcaption", {}, h("code", {}, label), `: ${said}`),
    Result.match(svg, {
      onSuccess: (checked) => h("div", { class: "card" }, inline(checked)),
      onFailure: () => null,
    }),
  )
}

const atWork = ({ store, working }: Live): Child =>
  working.length === 0
    ? h("p", {}, `No process is at work on ${store}.`)
    : working.map(({ command, pid, host, computing }) => [
        h("p", {}, h("code", {}, command), `, process ${pid} on ${host}, computes`),
        computing.length === 0
          ? h("p", {}, "nothing at the moment")
          : list(computing.map(({ label, since }) => [h("code", {}, label), " since ", when(since)])),
      ])

const runsTable = ({ runs }: Live): Html =>
  table({
    caption: "The last runs",
    columns: ["Run", "Started", "Outcome", "Computed", "Found", "Failed"],
    rows: runs.map(({ command, startedAt, outcome, computed, found, failed }) => [
      h("code", {}, command),
      when(startedAt),
      outcome,
      computed,
      found,
      failed.length === 0
        ? "0"
        : list(failed.map(({ label, because }) => [h("code", {}, label), `: ${because}`])),
    ]),
  })

const claimsSoFar = ({ claims: { rows, of, note } }: Live): Child =>
  of === 0
    ? null
    : [
        h("h3", {}, `Claims so far: ${rows.length} of ${of}`),
        note === "" ? null : h("p", { class: "evidence" }, note),
        rows.length === 0 ? null : claimsTable("Claims that can be judged already", rows, false),
      ]

/** The part of the live section that is replaced whenever something changes. */
export const liveContent = (live: Live): Html =>
  all(
    atWork(live),
    ...live.curves.map(curveFigure),
    live.runs.length === 0 ? h("p", {}, "No runs yet.") : runsTable(live),
    claimsSoFar(live),
  )

/** @param stops whether whoever looks may stop runs */
export const liveSection = (live: Live, stops: boolean): Html =>
  h(
    "section",
    { id: "live", "aria-labelledby": "live-title" },
    h("h2", { id: "live-title" }, "Now"),
    h("p", { id: "live-state", role: "status", "aria-live": "polite" }, "connecting"),
    stops ? h("p", {}, h("button", { id: "live-stop" }, "Stop the runs on this machine")) : null,
    h("div", { id: "live-content" }, liveContent(live)),
  )

/** Keeps the section as it is now. What comes is markup that {@link liveContent} has made. */
export const liveScript = `
const state = document.getElementById("live-state")
const events = new EventSource("/events")
events.addEventListener("open", () => { state.textContent = "connected: this section changes while runs go on" })
events.addEventListener("error", () => { state.textContent = "not connected: the server has ended, or is out of reach" })
events.addEventListener("live", ({ data }) => { document.getElementById("live-content").innerHTML = JSON.parse(data) })
events.addEventListener("page", () => location.reload())
document.getElementById("live-stop")?.addEventListener("click", () => {
  const token = new URLSearchParams(location.search).get("token") ?? ""
  fetch("/stop", { method: "POST", headers: { "x-token": token } }).then(({ ok }) => {
    state.textContent = ok ? "asked the runs to stop; the same command goes on where they were" : "refused to stop the runs"
  })
})
`
