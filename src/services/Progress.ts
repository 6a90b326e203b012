/**
 * What a person sees while stages run: on a terminal one live line per running stage and below them one on the whole
 * plan, elsewhere one plain line every few seconds. Goes to standard error, so that standard output stays for results.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { duration } from "./progress/duration.ts"
import { ofKinds, summarise, type Taken } from "./progress/Tally.ts"
import { annotate } from "./telemetry.ts"

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
    /**
     * Says what is going to run or to be found cached, by label, and counts from zero. `expected` are the seconds that
     * each takes, as far as known; asked for once, beside the first stage that runs.
     */
    readonly plan: (
      labels: ReadonlyArray<string>,
      expected?: Effect.Effect<ReadonlyMap<string, number>>,
    ) => Effect.Effect<void>
    /** A line that stays, such as a result as soon as it is there. */
    readonly say: (line: string) => Effect.Effect<void>
  }
>()("grokscope/services/Progress") {
  /** Shows nothing. */
  static readonly silent = Layer.succeed(Progress, {
    running: (_, effect) => effect,
    step: () => Effect.void,
    cached: () => Effect.void,
    plan: () => Effect.void,
    say: () => Effect.void,
  })

  static readonly layer = (output: Output) => Layer.effect(Progress, makeProgress(output))
}

const LABEL_WIDTH = 36
const LIVE_INTERVAL = 100
const PLAIN_INTERVAL = 5000
const SUMMARY_INTERVAL = 30_000
const TICK = 1000
/** With more stages than this planned, those that are cached are only counted, and plain lines are rare. */
const MANY = 20
/** Live lines of running stages; the summary counts the others. */
const MOST_LINES = 16

/** A label is a stage's name, and what tells it from others of that stage. */
const kindOf = (label: string): string => label.split(" ", 1)[0]

const rateOf = ({ first, firstAt, latest }: Pick<Running, "first" | "firstAt" | "latest">, now: number) =>
  latest === undefined || first === undefined || now <= firstAt
    ? 0
    : (latest.done - first.done) / ((now - firstAt) / 1000)

/** Seconds that a stage still takes at its rate, where it has one. */
const leftOf = (running: Pick<Running, "first" | "firstAt" | "latest">, now: number): number | undefined => {
  const rate = rateOf(running, now)
  return running.latest === undefined || rate <= 0
    ? undefined
    : (running.latest.total - running.latest.done) / rate
}

/** One line on a running stage. */
export const describe = (running: Omit<Running, "printed">, now: number): string => {
  const { label, started, first, latest } = running
  if (latest === undefined || first === undefined) return `${label}  ${duration((now - started) / 1000)}`
  const rate = rateOf(running, now)
  const left = leftOf(running, now)
  const parts = [
    `${latest.unit} ${latest.done.toLocaleString("en")}/${latest.total.toLocaleString("en")}`,
    ...(latest.note === undefined ? [] : [latest.note]),
    ...(rate > 0 ? [`${rate.toFixed(rate < 10 ? 1 : 0)} ${latest.unit}s/s`] : []),
    ...(left !== undefined && left > 0 ? [`≤ ${duration(left)} left`] : []),
  ]
  return [label, ...parts].join("  ")
}

/** What was planned, and what became of it. Without a plan nothing is counted. */
const makeCounts = (labels: ReadonlyArray<string>, since: number) => {
  /** By label. */
  const waiting = new Map<string, number>()
  for (const label of labels) waiting.set(label, (waiting.get(label) ?? 0) + 1)
  const taken = new Map<string, Taken>()
  const expected: ReadonlyMap<string, number> = new Map()
  return { planned: labels.length, since, done: 0, cached: 0, lanes: 0, waiting, taken, expected }
}

const makeProgress = (output: Output) =>
  Effect.gen(function* () {
    const active = new Set<Running>()
    const live = output.isTTY === true
    let counts = makeCounts([], 0)
    let shown = 0
    let drawn = 0
    let summarised = 0
    let introduced = false
    /** Expected seconds that nobody has asked for yet. */
    let unasked: Effect.Effect<ReadonlyMap<string, number>> | undefined

    const isPlanned = () => counts.planned > 0
    const isCrowded = () => counts.planned > MANY
    const leaveQueue = (label: string) => {
      counts.waiting.set(label, Math.max(0, (counts.waiting.get(label) ?? 0) - 1))
    }
    const finish = (label: string, seconds: number) => {
      const before = counts.taken.get(kindOf(label)) ?? { count: 0, seconds: 0 }
      counts.taken.set(kindOf(label), { count: before.count + 1, seconds: before.seconds + seconds })
      counts.done += 1
    }
    const summary = (now: number) =>
      summarise({
        ...counts,
        ...ofKinds(counts.waiting, counts.expected, kindOf),
        running: [...active].map((running) => ({
          kind: kindOf(running.label),
          elapsed: (now - running.started) / 1000,
          left: leftOf(running, now),
        })),
        elapsed: (now - counts.since) / 1000,
      })

    const clear = () => {
      if (shown > 0) output.write(`\r\u001b[${shown}A\u001b[J`)
      shown = 0
    }
    const draw = (now: number) => {
      clear()
      const width = (output.columns || 80) - 1
      const lines = [...active].slice(0, MOST_LINES).map((running) => describe(running, now))
      if (isPlanned()) lines.push(summary(now))
      for (const line of lines) output.write(`${line.slice(0, width)}\n`)
      shown = lines.length
      drawn = now
    }
    const printSummary = (now: number) => {
      output.write(`${summary(now)}\n`)
      summarised = now
    }
    /** A line that stays. */
    const say = (line: string, now: number) => {
      if (live) clear()
      output.write(`${line}\n`)
      if (live) draw(now)
    }
    const show = (now: number) => {
      if (live && (active.size > 0 || isPlanned())) draw(now)
      if (!live && isPlanned() && now - summarised >= SUMMARY_INTERVAL) printSummary(now)
    }
    /** Where cached stages leave no line, the last one leaves the counts. */
    const showEnd = (now: number) => {
      if (!live && isCrowded() && counts.done + counts.cached === counts.planned) printSummary(now)
    }

    const scope = yield* Effect.scope
    const foresee = Effect.suspend(() => {
      const [asked, planned] = [unasked, counts]
      unasked = undefined
      if (asked === undefined) return Effect.void
      return asked.pipe(
        Effect.tap((expected) =>
          Effect.sync(() => {
            planned.expected = expected
          }),
        ),
        Effect.forkIn(scope),
      )
    })

    if (live) yield* Effect.addFinalizer(() => Effect.sync(clear))
    yield* Clock.currentTimeMillis.pipe(
      Effect.map(show),
      Effect.delay(TICK),
      Effect.forever,
      Effect.forkScoped,
    )

    return Progress.of({
      plan: Effect.fnUntraced(function* (labels, expected) {
        const now = yield* Clock.currentTimeMillis
        counts = makeCounts(labels, now)
        unasked = expected
        summarised = now
        if (live) draw(now)
      }),
      say: (line) => Effect.map(Clock.currentTimeMillis, (now) => say(line, now)),
      running: Effect.fnUntraced(function* (label, effect) {
        const started = yield* Clock.currentTimeMillis
        if (!introduced) say("Ctrl-C stops; the same command goes on where it was", started)
        introduced = true
        yield* foresee
        const running: Running = {
          label,
          started,
          first: undefined,
          firstAt: started,
          latest: undefined,
          printed: started,
        }
        active.add(running)
        leaveQueue(label)
        counts.lanes = Math.max(counts.lanes, active.size)
        if (live) draw(started)
        const result = yield* effect.pipe(
          Effect.provideService(Current, running),
          Effect.ensuring(Effect.sync(() => active.delete(running))),
        )
        const now = yield* Clock.currentTimeMillis
        const seconds = (now - started) / 1000
        const rate = rateOf(running, now)
        if (rate > 0) yield* annotate({ [`${running.latest?.unit}sPerSecond`]: rate })
        finish(label, seconds)
        if (live && isCrowded()) draw(now)
        else say(`${label.padEnd(LABEL_WIDTH)} done in ${duration(seconds)}`, now)
        showEnd(now)
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
        if (!live && now - running.printed >= (isCrowded() ? SUMMARY_INTERVAL : PLAIN_INTERVAL)) {
          running.printed = now
          output.write(`${describe(running, now)}\n`)
        }
      }),
      cached: Effect.fnUntraced(function* (label) {
        const now = yield* Clock.currentTimeMillis
        leaveQueue(label)
        counts.cached += 1
        if (!isCrowded()) say(`${label.padEnd(LABEL_WIDTH)} cached`, now)
        else if (live && now - drawn >= LIVE_INTERVAL) draw(now)
        showEnd(now)
      }),
    })
  })
