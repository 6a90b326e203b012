/** How long jobs take together when a few are done at a time, and in which order they had better begin. Pure. */

export interface Job {
  readonly seconds: number
  /** Places, in the list of jobs, of those that come first. */
  readonly after: ReadonlyArray<number>
}

interface Ready {
  readonly place: number
  readonly at: number
}

/**
 * Begins jobs one by one: of those that can begin earliest, all of which `choose` is given in the order of the list, the one
 * that it returns. A worker takes `starting` seconds before its first job. Returns when each ends, in the order in which they begin;
 * jobs that wait for one that never ends are left out.
 */
const simulate = (
  jobs: ReadonlyArray<Job>,
  { workers, starting = 0 }: { readonly workers: number; readonly starting?: number },
  choose?: (ready: ReadonlyArray<number>) => number,
): ReadonlyMap<number, number> => {
  const ended = new Map<number, number>()
  const waiting = new Set(jobs.keys())
  /** When each worker is free; one that was never used is free from the start, and has to start. */
  const free = Array.from({ length: Math.min(workers, jobs.length) }, () => ({ at: 0, started: false }))
  while (waiting.size > 0) {
    const next = free.reduce((first, worker) => (worker.at < first.at ? worker : first))
    let earliest: Array<Ready> = []
    for (const place of waiting) {
      let at = next.at
      for (const i of jobs[place].after) at = Math.max(at, ended.get(i) ?? Number.POSITIVE_INFINITY)
      if (at < (earliest[0]?.at ?? Number.POSITIVE_INFINITY)) earliest = [{ place, at }]
      else if (at === earliest[0]?.at) earliest.push({ place, at })
      if (choose === undefined && at === next.at) break
    }
    const [first] = earliest
    if (first === undefined) break
    const chosen = choose?.(earliest.map(({ place }) => place)) ?? first.place
    next.at = first.at + (next.started ? 0 : starting) + jobs[chosen].seconds
    next.started = true
    ended.set(chosen, next.at)
    waiting.delete(chosen)
  }
  return ended
}

/** Seconds until all are done with `workers` of them at a time; of those that can begin, the first of the list does. */
export const makespan = (
  jobs: ReadonlyArray<Job>,
  pool: { readonly workers: number; readonly starting?: number },
): number => {
  const ended = simulate(jobs, pool)
  return ended.size < jobs.length ? Number.POSITIVE_INFINITY : Math.max(0, ...ended.values())
}

/** Seconds of the longest chain of jobs from each on to the end. Jobs come after those that they wait for. */
const chains = (jobs: ReadonlyArray<Job>): ReadonlyArray<number> => {
  const after = new Array<number>(jobs.length).fill(0)
  for (let place = jobs.length - 1; place >= 0; place--) {
    const chain = jobs[place].seconds + after[place]
    for (const i of jobs[place].after) after[i] = Math.max(after[i], chain)
  }
  return jobs.map(({ seconds }, place) => seconds + after[place])
}

/** With more jobs than these, what is long is long before the end. */
const MANY = 5000

/**
 * Places of the jobs in the order in which they had better begin: that of the list, but for a job whose chain to the end takes as
 * long as all that is left on all workers. Such a job goes first, the longest chain before others, or everybody would wait
 * for it at the end.
 */
export const beginning = (jobs: ReadonlyArray<Job>, workers: number): ReadonlyArray<number> => {
  if (jobs.length > MANY || workers === 1) return [...jobs.keys()]
  const chain = chains(jobs)
  let left = jobs.reduce((total, { seconds }) => total + seconds, 0)
  const ended = simulate(jobs, { workers }, (ready) => {
    const longest = ready.reduce((best, place) => (chain[place] > chain[best] ? place : best))
    const chosen = chain[longest] * workers >= left ? longest : ready[0]
    left -= jobs[chosen].seconds
    return chosen
  })
  return [...ended.keys()]
}
