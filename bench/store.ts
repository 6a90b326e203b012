/**
 * `pnpm bench store`: a checkpoint of the paper's size put into a store and read back, beside a plain file of the same bytes,
 * written, synced and read. In alternation; every round has other bytes.
 */
import { join } from "node:path"
import { Console, Effect, FileSystem, Layer } from "effect"
import { Command } from "effect/cli"
import { ArtifactStore } from "../src/services/ArtifactStore.ts"
import { f32Tensor, getTensors, putTensors } from "../src/services/artifacts.ts"
import { append, count, recording, spread, timed } from "./measured.ts"

const NAME = "store"
/** Parameters of the paper's model; a checkpoint has them and two moments. */
const SIZE = 290_401

const temporaryStore = Layer.unwrap(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return ArtifactStore.layer(yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-bench-" }))
  }),
)

/** Milliseconds of each of the four, in one round. */
const round = Effect.fn("round")(function* (number: number) {
  const fs = yield* FileSystem.FileSystem
  const { root } = yield* ArtifactStore
  const tensor = (part: number) =>
    f32Tensor(Float32Array.from({ length: SIZE }, (_, i) => Math.sin(i + part) + number))
  const put = yield* timed(putTensors({ theta: tensor(0), first: tensor(1), second: tensor(2) }))
  const get = yield* timed(getTensors(put.result))
  const bytes = new Uint8Array(3 * SIZE * Float32Array.BYTES_PER_ELEMENT).map((_, i) => i + number)
  const path = join(root, `plain.${number}`)
  const write = yield* timed(
    Effect.scoped(
      Effect.flatMap(fs.open(path, { flag: "w" }), (file) => Effect.andThen(file.writeAll(bytes), file.sync)),
    ),
  )
  const read = yield* timed(fs.readFile(path))
  return { put, get, write, read }
})

export const store = Command.make(
  NAME,
  { rounds: count("rounds", 20, "Checkpoints"), record: recording(NAME) },
  Effect.fn(function* ({ rounds, record }) {
    const measured = yield* Effect.forEach(Array.from({ length: rounds }).keys(), round).pipe(
      Effect.provide(temporaryStore),
      Effect.scoped,
    )
    const names = ["put", "write", "get", "read"] as const
    const of = (name: (typeof names)[number]) => measured.map((figures) => figures[name].milliseconds)
    yield* Console.log(
      `\n${rounds} checkpoints of ${((12 * SIZE) / 1e6).toFixed(1)} MB; ms: median (lowest–highest)`,
    )
    for (const name of names) yield* Console.log(`  ${name.padEnd(6)} ${spread(of(name), " ms")}`)
    if (record) {
      const msPerRound = Object.fromEntries(
        names.map((name) => [name, of(name).map((ms) => Number(ms.toFixed(2)))]),
      )
      yield* append(NAME, { rounds, msPerRound })
    }
  }),
).pipe(Command.withDescription("A checkpoint into the store and back, beside a plain file"))
