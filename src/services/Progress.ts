/**
 * What a person sees while stages run: on a terminal one live line per running stage, elsewhere one plain line
 * every few seconds. Goes to standard error, so that standard output stays for results.
 */
import { Clock, Context, Effect, Layer } from "effect"

/** How far a stage is. `note` is short free text, such as the current loss. */
export interface Step {
  readonly done: number
  readonly total: number
  readonly unit: string
  readonly note?: string
}

/** Where progress is written: a terminal, or anything else that takes text. */
export interface Output {
  readonly write: (text: string) => unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

interface Running {
  readonly label: string
  readonly started: number
  /** Where this process began, so that the rate does not count what was resumed. */
  first: Step | undefined
  firstAt: number
  latest: Step | undefined
  printed: number
}

/** The line that belongs to the current fiber. */
const Current = Context.Reference<Running | undefined>("grokscope/services/Progress/Current", {
  defaultValue: () => undefined,
})

export class Progress extends Context.Service<
  Progress,
  {
    /** Shows `label` while `effect` runs. */
    readonly running: <A, E, R>(label: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Reports how far the effect that `running` shows is; called within it. */
    readonly step: (step: Step) => Effect.Effect<void>
    readonly cached: (label: string) => Effect.Effect<void>
  }
>()("grokscope/services/Progress") {
  /** Shows nothing. */
  static readonly silent = Layer.succeed(Progress, {
    running: (_, effect) => effect,
    step: () => Effect.void,
    cached: () => Effect.void,
  })

  static readonly layer = (output: Output) => Layer.effect(Progress, makeProgress(output))
}

const LABEL_WIDTH = 36
const PLAIN_INTERVAL = 5000
const LIVE_INTERVAL = 100

const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return "?"
  const s = Math.round(seconds)
  if (s < 60) return `${s} s`
  return s < 3600
    ? `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`
    : `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`
}

/** One line on a running stage. */
export const describe = (
  { label, started, first, firstAt, latest }: Omit<Running, "printed">,
  now: number,
): string => {
  const elapsed = (now - started) / 1000
  if (latest === undefined || first === undefined) return `${label}  ${duration(elapsed)}`
  const rate = now > firstAt ? (latest.done - first.done) / ((now - firstAt) / 1000) : 0
  const parts = [
    `${latest.unit} ${latest.done.toLocaleString("en")}/${latest.total.toLocaleString("en")}`,
    ...(latest.note === undefined ? [] : [latest.note]),
    ...(rate > 0 ? [`${rate.toFixed(rate < 10 ? 1 : 0)} ${latest.unit}s/s`] : []),
    ...(rate > 0 && latest.done < latest.total
      ? [`≤ ${duration((latest.total - latest.done) / rate)} left`]
      : []),
  ]
  return [label, ...parts].join("  ")
}

const makeProgress = (output: Output) =>
  Effect.gen(function* () {
    const active = new Set<Running>()
    const live = output.isTTY === true
    let shown = 0
    let drawn = 0
    let introduced = false

    const clear = () => {
      if (shown > 0) output.write(`\r\u001b[${shown}A\u001b[J`)
      shown = 0
    }
    const draw = (now: number) => {
      clear()
      const width = (output.columns ?? 80) - 1
      for (const running of active) output.write(`${describe(running, now).slice(0, width)}\n`)
      shown = active.size
      drawn = now
    }
    /** A line that stays. */
    const say = (line: string, now: number) => {
      if (live) clear()
      output.write(`${line}\n`)
      if (live) draw(now)
    }

    if (live) yield* Effect.addFinalizer(() => Effect.sync(clear))

    return Progress.of({
      running: Effect.fnUntraced(function* (label, effect) {
        const started = yield* Clock.currentTimeMillis
        if (!introduced) say("Ctrl-C stops; the same command goes on where it was", started)
        introduced = true
        const running: Running = {
          label,
          started,
          first: undefined,
          firstAt: started,
          latest: undefined,
          printed: started,
        }
        active.add(running)
        if (live) draw(started)
        const result = yield* effect.pipe(
          Effect.provideService(Current, running),
          Effect.ensuring(Effect.sync(() => active.delete(running))),
        )
        const now = yield* Clock.currentTimeMillis
        say(`${label.padEnd(LABEL_WIDTH)} done in ${duration((now - started) / 1000)}`, now)
        return result
      }),
      step: Effect.fnUntraced(function* (step) {
        const running = yield* Current
        if (running === undefined) return
        const now = yield* Clock.currentTimeMillis
        if (running.first === undefined) {
          running.first = step
          running.firstAt = now
        }
        running.latest = step
        if (live && now - drawn >= LIVE_INTERVAL) draw(now)
        if (!live && now - running.printed >= PLAIN_INTERVAL) {
          running.printed = now
          output.write(`${describe(running, now)}\n`)
        }
      }),
      cached: Effect.fnUntraced(function* (label) {
        say(`${label.padEnd(LABEL_WIDTH)} cached`, yield* Clock.currentTimeMillis)
      }),
    })
  })
