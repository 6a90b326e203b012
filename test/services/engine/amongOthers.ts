/** The engine at hand, with every run computed as the second member of an ensemble of three. */
import { Effect, Layer } from "effect"
import { apart, interleave, programOf, scanOf } from "../../../src/model/ensemble.ts"
import { mapSignature, type Signature, type Values } from "../../../src/model/Program.ts"
import { TensorEngine } from "../../../src/services/TensorEngine.ts"

const MEMBERS = 3

/** Other values of the same kind: integers in another order, numbers scaled. */
const others = <S extends Signature>(signature: S, values: Values<S>, factor: number): Values<S> =>
  mapSignature(signature, (key) => {
    const value = values[key]
    return value instanceof Int32Array ? value.toReversed() : value.map((x) => x * factor)
  }) as Values<S>

const among = <S extends Signature>(signature: S, values: Values<S>, length?: number) =>
  interleave(signature, [others(signature, values, 0.5), values, others(signature, values, 1.5)], length)

const own = <S extends Signature>(
  signature: S,
  all: Parameters<typeof apart<S>>[1],
  length?: number,
): Values<S> => apart(signature, all, MEMBERS, length)[1]

const lengthOf = (signature: Signature, values: Readonly<Record<string, ArrayLike<number>>>) => {
  const [[key, { shape }]] = Object.entries(signature)
  return values[key].length / shape.reduce((n, d) => n * d, 1)
}

export const amongOthers = Layer.effect(
  TensorEngine,
  Effect.map(TensorEngine, (engine) =>
    TensorEngine.of({
      ...engine,
      compile: (program) =>
        Effect.map(engine.compile(programOf(program, MEMBERS)), ({ run }) => ({
          run: (inputs) => Effect.map(run(among(program.inputs, inputs)), (all) => own(program.outputs, all)),
        })),
      compileScan: (scan) =>
        Effect.map(engine.compileScan(scanOf(scan, MEMBERS)), ({ run }) => ({
          run: ({ carry, xs, constants }) => {
            const length = lengthOf(scan.xs, xs)
            return Effect.map(
              run({
                carry: among(scan.carry, carry),
                xs: among(scan.xs, xs, length),
                constants: among(scan.constants, constants),
              }),
              (all) => ({ carry: own(scan.carry, all.carry), ys: own(scan.ys, all.ys, length) }),
            )
          },
        })),
    }),
  ),
)
