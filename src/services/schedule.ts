/** How long jobs take together when a few are done at a time. Pure. */

export interface Job {
  readonly seconds: number
  /** Places, in the list of jobs, of those that come first. */
  readonly after: ReadonlyArray<number>
}

/**
 * Seconds until all are done with `workers` of them at a time; of those that can begin, the first of the list does. A worker
 * takes `starting` seconds before its first job. Jobs come after those that they wait for.
 */
export const makespan = (
  jobs: ReadonlyArray<Job>,
  { workers, starting = 0 }: { readonly workers: number; readonly starting?: number },
): number => {
  const ended = new Map<number, number>()
  const waiting = new Set(jobs.keys())
  /** When each worker is free; one that was never used is free from the start, and has to start. */
  const free = Array.from({ length: Math.min(workers, jobs.length) }, () => ({ at: 0, started: false }))
  while (waiting.size > 0) {
    const next = free.reduce((first, worker) => (worker.at < first.at ? worker : first))
    let chosen = -1
    let earliest = Number.POSITIVE_INFINITY
    for (const place of waiting) {
      let ready = next.at
      for (const i of jobs[place].after) ready = Math.max(ready, ended.get(i) ?? Number.POSITIVE_INFINITY)
      if (ready < earliest) [chosen, earliest] = [place, ready]
      if (ready === next.at) break
    }
    if (chosen < 0) return Number.POSITIVE_INFINITY
    next.at = earliest + (next.started ? 0 : starting) + jobs[chosen].seconds
    next.started = true
    ended.set(chosen, next.at)
    waiting.delete(chosen)
  }
  return Math.max(0, ...ended.values())
}
