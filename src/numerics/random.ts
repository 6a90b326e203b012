/**
 * Counter-based random streams.
 *
 * A stream is named by `(seed, name, step)` and holds no state: draw `i` is a pure function of the
 * stream and `i`, so any draw is addressable without drawing those before it, and a resumed run sees
 * the same numbers as one that went straight there.
 *
 * The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror & Shaw 2011, "Parallel random
 * numbers: as easy as 1, 2, 3"). The counter is `[draw index, lane]`; each kind of draw has its own
 * lane, so normals and uniforms of one stream are independent of each other.
 */
import { normalQuantile } from "./normalQuantile.ts"

/** What a stream is for. A new use gets a new name, never a borrowed one. */
export type StreamName =
  | "split"
  | "shuffle"
  | "init"
  | "batch"
  | "capture"
  | "random-basis"
  | "random-direction"
  | "probe"
  | "noise"
  | "row-noise"
  | "random-logits"
  | "permuted-labels"
  | "bootstrap"

/** The key of one stream: two unsigned 32-bit words. Made by {@link stream}. */
export interface Stream {
  readonly key0: number
  readonly key1: number
}

const uniformLane = 0
const normalLane = 1
const permutationLane = 2
const quickNormalLane = 3

const chunkWords = 2048

/**
 * One Threefry-2x32-20 block, as the paper and Random123 define it. Words are unsigned 32-bit; other
 * numbers are taken modulo 2^32.
 */
export const threefry2x32 = (
  key: readonly [number, number],
  counter: readonly [number, number],
): [number, number] => {
  const words = new Uint32Array(2)
  fillBlocks({ key0: key[0], key1: key[1] }, counter[0], counter[1], words)
  return [words[0], words[1]]
}

/**
 * The stream of `(seed, name, step)`: its key is `threefry([seed, FNV-1a(name)], [step, 0])`.
 *
 * `seed` and `step` are integers in [0, 2^32); others alias modulo 2^32.
 */
export const stream = (seed: number, name: StreamName, step = 0): Stream => {
  const [key0, key1] = threefry2x32([seed, fnv1a(name)], [step, 0])
  return { key0, key1 }
}

/** Draws `first … first + count - 1`, uniform in [0, 1) with 53 random bits each. */
export const uniforms = (from: Stream, count: number, first = 0): Float64Array =>
  uniformsOf(from, uniformLane, count, first)

/** `floor(u * bound)` of the same-numbered {@link uniforms}: integers in [0, bound), `bound` <= 2^31. */
export const integers = (from: Stream, count: number, bound: number, first = 0): Int32Array =>
  Int32Array.from(uniforms(from, count, first), (u) => Math.floor(u * bound))

/**
 * Draws `first … first + count - 1` of the standard normal, by Box-Muller.
 *
 * Draws `2i` and `2i + 1` share block `i`: its words give radius and angle with 32 bits each, so no draw
 * exceeds 6.77 in magnitude.
 */
export const normals = (from: Stream, count: number, first = 0): Float64Array => {
  const skipped = first % 2
  const words = new Uint32Array(2 * Math.ceil((skipped + count) / 2))
  fillBlocks(from, (first - skipped) / 2, normalLane, words)
  const pairs = new Float64Array(words.length)
  for (let i = 0; i < words.length; i += 2) {
    const radius = radiusOf(words[i])
    const angle = angleOf(words[i + 1])
    pairs[i] = radius * Math.cos(angle)
    pairs[i + 1] = radius * Math.sin(angle)
  }
  return pairs.slice(skipped, skipped + count)
}

/** Fills `out` with draws `0 … out.length - 1` of {@link normals}, rounded to float32. For long vectors. */
export const normalsInto = (from: Stream, out: Float32Array): void => {
  const words = new Uint32Array(chunkWords)
  for (let start = 0; start < out.length; start += chunkWords) {
    fillBlocks(from, start / 2, normalLane, words)
    const count = Math.min(chunkWords, out.length - start)
    for (let i = 0; i < count; i += 2) {
      const radius = radiusOf(words[i])
      const angle = angleOf(words[i + 1])
      out[start + i] = radius * Math.cos(angle)
      if (i + 1 < count) out[start + i + 1] = radius * Math.sin(angle)
    }
  }
}

/**
 * Fills `out` with normals in 65,536 levels, four from each block: fast, for what is drawn at every step.
 *
 * Draws `4i … 4i + 3` are the 16-bit halves of block `i`, low half of word 0 first. The top bit of a half is
 * the sign, the other 15 bits index the quantiles Φ⁻¹((32768 + j + ½) / 65536), rounded to float32.
 *
 * *Gotchas*: no draw exceeds 4.33 in magnitude, and the variance is 2e-5 below 1. Where tails count, use
 * {@link normalsInto}.
 */
export const quickNormalsInto = (from: Stream, out: Float32Array): void => {
  const quantiles = upperQuantileBits()
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length)
  const words = new Uint32Array(chunkWords)
  for (let start = 0; start < out.length; start += 2 * chunkWords) {
    fillBlocks(from, start / 4, quickNormalLane, words)
    const count = Math.min(2 * chunkWords, out.length - start)
    for (let i = 0; i < count; i += 2) {
      const word = words[i >>> 1]
      bits[start + i] = quantiles[word & 0x7fff] | ((word & 0x8000) << 16)
      if (i + 1 < count) bits[start + i + 1] = quantiles[(word >>> 16) & 0x7fff] | (word & 0x80000000)
    }
  }
}

/**
 * A draw of χ² with `degrees` ≥ 1 of freedom, by the rejection of Marsaglia & Tsang (2000, "A simple method for generating gamma
 * variables"), which accepts 19 of 20. Takes normals and uniforms from number `first` on, one of each for every attempt.
 */
export const chiSquared = (from: Stream, degrees: number, first = 0): number => {
  if (degrees === 1) return normals(from, 1, first)[0] ** 2
  const d = degrees / 2 - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (let attempt = first; ; attempt++) {
    const [x] = normals(from, 1, attempt)
    const [u] = uniforms(from, 1, attempt)
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(u) < x * x * 0.5 + d * (1 - v + Math.log(v))) return 2 * d * v
  }
}

/** A uniformly random order of `0 … n - 1` (Fisher-Yates, from the last position down). */
export const permutation = (from: Stream, n: number): Int32Array => {
  const order = Int32Array.from({ length: n }, (_, i) => i)
  const u = uniformsOf(from, permutationLane, n, 0)
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(u[i] * (i + 1))
    const swapped = order[i]
    order[i] = order[j]
    order[j] = swapped
  }
  return order
}

const uniformsOf = (from: Stream, lane: number, count: number, first: number): Float64Array => {
  const words = new Uint32Array(2 * count)
  fillBlocks(from, first, lane, words)
  return Float64Array.from(
    { length: count },
    (_, i) => ((words[2 * i] >>> 5) * 2 ** 26 + (words[2 * i + 1] >>> 6)) * 2 ** -53,
  )
}

/** Radius of a Box-Muller pair; half a unit is added so that the logarithm never sees zero. */
const radiusOf = (word: number): number => Math.sqrt(-2 * Math.log((word + 0.5) * 2 ** -32))

const angleOf = (word: number): number => word * (2 * Math.PI * 2 ** -32)

let quantileBits: Uint32Array | undefined

/**
 * Upper half of the normal quantiles as the bits of float32 numbers, 128 KiB, made on first use. As bits, so
 * that a sign is one OR; half, so that it stays in the processor's second cache.
 */
const upperQuantileBits = (): Uint32Array => {
  quantileBits ??= new Uint32Array(
    Float32Array.from({ length: 32768 }, (_, j) => normalQuantile((32768.5 + j) / 65536)).buffer,
  )
  return quantileBits
}

/** FNV-1a, 32 bits, over the characters of an ASCII name. */
const fnv1a = (name: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/**
 * The one implementation of the rounds: fills `words` with the blocks of counters `[first, lane]`,
 * `[first + 1, lane]`, …, two words each. Unrolled because every normal of every random basis passes here.
 */
const fillBlocks = (key: Stream, first: number, lane: number, words: Uint32Array): void => {
  const k0 = key.key0 | 0
  const k1 = key.key1 | 0
  const k2 = 0x1bd11bda ^ k0 ^ k1
  for (let i = 0; i < words.length; i += 2) {
    let a = (first + (i >>> 1) + k0) | 0
    let b = (lane + k1) | 0

    a = (a + b) | 0
    b = ((b << 13) | (b >>> 19)) ^ a
    a = (a + b) | 0
    b = ((b << 15) | (b >>> 17)) ^ a
    a = (a + b) | 0
    b = ((b << 26) | (b >>> 6)) ^ a
    a = (a + b) | 0
    b = ((b << 6) | (b >>> 26)) ^ a
    a = (a + k1) | 0
    b = (b + k2 + 1) | 0

    a = (a + b) | 0
    b = ((b << 17) | (b >>> 15)) ^ a
    a = (a + b) | 0
    b = ((b << 29) | (b >>> 3)) ^ a
    a = (a + b) | 0
    b = ((b << 16) | (b >>> 16)) ^ a
    a = (a + b) | 0
    b = ((b << 24) | (b >>> 8)) ^ a
    a = (a + k2) | 0
    b = (b + k0 + 2) | 0

    a = (a + b) | 0
    b = ((b << 13) | (b >>> 19)) ^ a
    a = (a + b) | 0
    b = ((b << 15) | (b >>> 17)) ^ a
    a = (a + b) | 0
    b = ((b << 26) | (b >>> 6)) ^ a
    a = (a + b) | 0
    b = ((b << 6) | (b >>> 26)) ^ a
    a = (a + k0) | 0
    b = (b + k1 + 3) | 0

    a = (a + b) | 0
    b = ((b << 17) | (b >>> 15)) ^ a
    a = (a + b) | 0
    b = ((b << 29) | (b >>> 3)) ^ a
    a = (a + b) | 0
    b = ((b << 16) | (b >>> 16)) ^ a
    a = (a + b) | 0
    b = ((b << 24) | (b >>> 8)) ^ a
    a = (a + k1) | 0
    b = (b + k2 + 4) | 0

    a = (a + b) | 0
    b = ((b << 13) | (b >>> 19)) ^ a
    a = (a + b) | 0
    b = ((b << 15) | (b >>> 17)) ^ a
    a = (a + b) | 0
    b = ((b << 26) | (b >>> 6)) ^ a
    a = (a + b) | 0
    b = ((b << 6) | (b >>> 26)) ^ a

    words[i] = a + k2
    words[i + 1] = b + k0 + 5
  }
}
