/** Domains and ticks. */

export type Domain = readonly [low: number, high: number]

/** Whether a log axis can show it. */
export const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0

const steps = [1, 2, 5]

/** All of 1, 2, 5 times a power of ten from somewhat below `low` to somewhat above `high`. */
const oneTwoFive = (low: number, high: number): ReadonlyArray<number> => {
  const ticks: Array<number> = []
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) ticks.push(Number(`${step}e${power}`))
  }
  return ticks
}

/** The least domain with ends at 1, 2 or 5 times a power of ten that holds every positive value. */
export const logDomain = (values: ReadonlyArray<number>): Domain => {
  const positive = values.filter(isPositive)
  const low = positive.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const high = positive.reduce((a, b) => Math.max(a, b), 0)
  if (high === 0) return [1, 10]
  const ends = oneTwoFive(low, high)
  const from = ends.findLast((end) => end <= low) ?? low
  const to = ends.find((end) => end >= high) ?? high
  return from < to ? [from, to] : [from / 2, to * 2]
}

/** Powers of ten, or 1-2-5 where the domain has fewer than `least` of them. */
export const logTicks = ([low, high]: Domain, least = 3): ReadonlyArray<number> => {
  const all = oneTwoFive(low, high).filter((tick) => tick >= low && tick <= high)
  const powers = all.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e9) / 1e9))
  return powers.length >= least ? powers : all
}

/** From the least to the greatest finite value, and 0 where the values start near it. */
export const linearDomain = (values: ReadonlyArray<number>): Domain => {
  const finite = values.filter(Number.isFinite)
  const low = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const high = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  if (low > high) return [0, 1]
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * low)]
  return [low > 0 && low < high / 2 ? 0 : low, high]
}

/** Multiples of 1, 2 or 5 times a power of ten within the domain, about `count` of them. */
export const linearTicks = ([low, high]: Domain, count: number): ReadonlyArray<number> => {
  const rough = (high - low) / count
  if (!(rough > 0)) return [low]
  const step = oneTwoFive(rough, rough).find((candidate) => candidate >= rough * 0.99) ?? rough
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** Three significant digits; thousands as "k". */
export const compact = (value: number): string =>
  Math.abs(value) >= 1000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(3)))

/** Three significant digits, no less than whole. */
export const significant = (value: number): string =>
  Math.abs(value) >= 100 ? Math.round(value).toString() : Number(value.toPrecision(3)).toString()

/** The sentence about values that a log axis cannot show; empty where it shows all. */
export const leftOut = (values: ReadonlyArray<number>): string => {
  const count = values.filter((value) => !isPositive(value)).length
  return count === 0 ? "" : `Not drawn on the log axis: values that are not positive (${count}).`
}
