/**
 * Ensembles: many runs of a program as one, whose tensors have the members along a leading axis. That fills a GPU which one run
 * of a small model leaves idle.
 */
import {
  mapSignature,
  type Program,
  type Scan,
  type Signature,
  sizeOf,
  type TensorSpec,
  type Values,
} from "./Program.ts"
import { vmap } from "./vmap.ts"

/** The same names and element types, with a leading axis. */
type Stacked<S extends Signature> = { readonly [K in keyof S]: TensorSpec<S[K]["dtype"]> }

const stacked = <S extends Signature>(signature: S, members: number): Stacked<S> =>
  mapSignature(signature, (_, { dtype, shape }) => ({ dtype, shape: [members, ...shape] }))

const nameOf = (name: string, members: number): string => `${name} x${members}`

/** A program [...] -> [...] for so many members: [members, ...] -> [members, ...]. */
export const programOf = <I extends Signature, O extends Signature>(
  { name, inputs, outputs, body }: Program<I, O>,
  members: number,
): Program<Stacked<I>, Stacked<O>> => ({
  name: nameOf(name, members),
  inputs: stacked(inputs, members),
  outputs: stacked(outputs, members),
  body: (tensors) => vmap(members, ({ enter, leave }) => leave(outputs, body(enter(inputs, tensors)))),
})

/** A scan for so many members, all of the same length. Everything has a leading axis of members at each step. */
export const scanOf = <C extends Signature, X extends Signature, K extends Signature, Y extends Signature>(
  { name, carry, xs, constants, ys, step }: Scan<C, X, K, Y>,
  members: number,
): Scan<Stacked<C>, Stacked<X>, Stacked<K>, Stacked<Y>> => ({
  name: nameOf(name, members),
  carry: stacked(carry, members),
  xs: stacked(xs, members),
  constants: stacked(constants, members),
  ys: stacked(ys, members),
  step: (state, x, fixed) =>
    vmap(members, ({ enter, leave }) => {
      const next = step(enter(carry, state), enter(xs, x), enter(constants, fixed))
      return { carry: leave(carry, next.carry), y: leave(ys, next.y) }
    }),
})

/** Members' values [length, ...] side by side: [length, members, ...]. */
export const interleave = <S extends Signature>(
  signature: S,
  members: ReadonlyArray<Values<S>>,
  length = 1,
): Values<Stacked<S>> =>
  mapSignature(signature, (key, { dtype, shape }) => {
    const size = sizeOf(shape)
    const all = new (dtype === "int32" ? Int32Array : Float32Array)(length * members.length * size)
    for (const [m, values] of members.entries()) {
      for (let i = 0; i < length; i++) {
        all.set(values[key].subarray(i * size, (i + 1) * size), (i * members.length + m) * size)
      }
    }
    return all
  }) as Values<Stacked<S>>

/** The values [length, ...] of each member of [length, members, ...]. */
export const apart = <S extends Signature>(
  signature: S,
  all: Values<Stacked<S>>,
  members: number,
  length = 1,
): ReadonlyArray<Values<S>> =>
  Array.from(
    { length: members },
    (_, m) =>
      mapSignature(signature, (key, { dtype, shape }) => {
        const size = sizeOf(shape)
        const own = new (dtype === "int32" ? Int32Array : Float32Array)(length * size)
        for (let i = 0; i < length; i++) {
          const from = (i * members + m) * size
          own.set(all[key].subarray(from, from + size), i * size)
        }
        return own
      }) as Values<S>,
  )
