/**
 * From a tensor program to the bytes of an ONNX model. Pure: no session, no effect.
 */
import type { Program, Scan, Signature } from "../../../model/Program.ts"
import { checkResult, type Results } from "../signature.ts"
import { Graph, type Name, type Port } from "./graph.ts"
import { type Tracer, trace } from "./trace.ts"

const ports = (signature: Signature, prefix: string, leading: ReadonlyArray<string> = []): Array<Port> =>
  Object.entries(signature).map(([key, { dtype, shape }]) => ({
    name: prefix + key,
    type: dtype,
    shape: [...leading, ...shape],
  }))

/** The values that a body returned, in the order of the signature they are checked against. */
const results = (program: string, signature: Signature, tensors: Results, { traced }: Tracer): Array<Name> =>
  Object.keys(signature).map((key) => {
    checkResult(program, signature, key, tensors[key])
    return traced(tensors[key]).name
  })

/** The model of a program: inputs `in.*`, outputs `out.*`. */
export const programModel = <I extends Signature, O extends Signature>({
  name,
  inputs,
  outputs,
  body,
}: Program<I, O>): Uint8Array => {
  const graph = new Graph()
  return trace(graph, (tracer) => {
    const tensors = body(tracer.tensors(inputs, (key) => `in.${key}`))
    return graph.toModel(
      ports(inputs, "in."),
      ports(outputs, "out."),
      results(name, outputs, tensors, tracer),
    )
  })
}

/** The model of a scan: inputs `length`, `carry.*`, `xs.*`, `constants.*`; outputs `out.carry.*`, `out.ys.*`. */
export const scanModel = <
  C extends Signature,
  X extends Signature,
  K extends Signature,
  Y extends Signature,
>({
  name,
  carry,
  xs,
  constants,
  ys,
  step,
}: Scan<C, X, K, Y>): Uint8Array => {
  const graph = new Graph()
  return trace(graph, (tracer) => {
    const iteration = graph.varying("iteration")
    const { carry: nextCarry, y } = step(
      tracer.tensors(carry, (key) => graph.varying(`step.${key}`)),
      tracer.tensors(xs, (key) => graph.node("Gather", [`xs.${key}`, iteration], { axis: 0 })[0]),
      tracer.tensors(constants, (key) => `constants.${key}`),
    )
    return graph.toLoopModel({
      length: { name: "length", type: "int64", shape: [] },
      iteration,
      carry: {
        initial: ports(carry, "carry."),
        input: ports(carry, "step."),
        output: ports(carry, "out.carry."),
        result: results(name, carry, nextCarry, tracer),
      },
      captured: [...ports(xs, "xs.", ["length"]), ...ports(constants, "constants.")],
      stacked: {
        entry: ports(ys, "step.ys."),
        output: ports(ys, "out.ys.", ["length"]),
        result: results(name, ys, y, tracer),
      },
    })
  })
}
