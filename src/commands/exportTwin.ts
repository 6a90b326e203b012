/** `export-twin`: writes the first steps of a training for replay in stock PyTorch, with a check of the coupling. */
import { Console, Effect, FileSystem, Option, Path, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type Layout, namedParameters, thetaAttn } from "../model/layout.ts"
import { perturbationEnergies, probeCentroids, trainSteps } from "../model/programs.ts"
import { norm } from "../numerics/gram.ts"
import { stream } from "../numerics/random.ts"
import { evaluator, type StageServices } from "../pipelines/Node.ts"
import { configOf } from "../pipelines/registry.ts"
import { type Scale, SMOKE_NOTE } from "../pipelines/scale.ts"
import { SingleConfig, single } from "../pipelines/single.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { f32Tensor, type Tensors } from "../services/artifacts.ts"
import { encode, type HostTensor } from "../services/formats/safetensors.ts"
import { Progress } from "../services/Progress.ts"
import { referencesOf } from "../services/references.ts"
import type { StageRunner } from "../services/StageRunner.ts"
import { digestOf } from "../services/store/canonical.ts"
import { commitFile, makeDirectories } from "../services/store/files.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { randomDirection } from "../stages/directions.ts"
import { concatenate, draw, type Examples, loadPairs } from "../stages/pairs.ts"
import { TrainInput } from "../stages/train.ts"
import { initialState, layoutOf, stepInputs, type TrainConfig } from "../stages/training.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { commandOf, engine, json, scale, set, store, threads } from "./options.ts"
import { override } from "./overrides.ts"
import { printJson } from "./printJson.ts"
import { runnerLayer } from "./services.ts"

/** What `--json` prints. */
export const ExportedTwin = Schema.Struct({ directory: Schema.String, files: Schema.Array(Schema.String) })

/** Probes and directions of the coupling check. */
const PROBES = 256
const DIRECTIONS = 8
const EPSILON = 0.005

const Stored = Schema.Struct({ input: TrainInput })

/** What two stored trainings share if their first steps are the same. */
const trajectoryOf = ({ train: { maxSteps: _, stop: __, ...train }, ...rest }: TrainInput) =>
  digestOf({ ...rest, train })

/** Fails for a training that stock PyTorch would not replay as `check_twin.py` does. */
const checkReplayable = (tasks: number, { optimizer, schedule }: TrainConfig) =>
  tasks === 1 && optimizer === "adamw" && schedule.kind === "constant"
    ? Effect.void
    : Effect.fail(
        new BadInput({
          message: `export-twin: only a training of one operation by adamw at a constant learning rate can be exported, not one of ${tasks} by ${optimizer} at a ${schedule.kind} one`,
        }),
      )

/**
 * Checks what `--run` stands for (a pipeline's training, or a stored one by its key or its trajectory's digest)
 * before anything is computed, and returns how to get its input.
 */
const trainingOf = Effect.fn("trainingOf")(function* (
  name: string,
  scale: Scale,
  set: ReadonlyArray<string>,
): Effect.fn.Return<
  Effect.Effect<TrainInput, Error, StageServices | StageRunner>,
  Error,
  StageServices | StageRunner
> {
  if (name === "single") {
    const config = yield* override(SingleConfig, configOf(scale), set)
    const { model, train, seed } = config
    yield* checkReplayable(1, train)
    return Effect.map(evaluator()(single(config).data), (data) => ({ data, model, train, seed }))
  }
  if (set.length > 0) {
    return yield* new BadInput({ message: `--set: the stored training ${name} keeps its own configuration` })
  }
  const { records } = yield* ArtifactStore
  const stored = /^[0-9a-f]{4,64}$/.test(name)
    ? (yield* records).filter(
        ({ stage, key, output }) =>
          stage === "train" &&
          (key.startsWith(name) || referencesOf(output).some(({ digest }) => digest.startsWith(name))),
      )
    : []
  const inputs = stored.flatMap(({ preimage }) =>
    Option.toArray(Option.map(Schema.decodeUnknownOption(Stored)(preimage), ({ input }) => input)),
  )
  if (new Set(inputs.map(trajectoryOf)).size === 1) {
    const [training] = inputs
    yield* checkReplayable(training.data.operations.length, training.train)
    return Effect.succeed(training)
  }
  return yield* new BadInput({
    message: `--run ${name}: neither a pipeline nor the digest of one stored training${suggest(name, ["single"])}`,
  })
})

const int64 = (shape: ReadonlyArray<number>, values: ArrayLike<number>): HostTensor => ({
  dtype: "I64",
  shape,
  data: BigInt64Array.from(Array.from(values), BigInt),
})

/** Parameters by PyTorch `state_dict` name, in its layout and shapes. */
const stateDict = (layout: Layout, theta: Float32Array): Tensors =>
  Object.fromEntries(
    namedParameters(layout, theta).map(({ name, shape, values }) => [name, f32Tensor(values, shape)]),
  )

/** `pairs` int64 [...leading, 2] and `labels` int64 [...leading]. */
const examples = (leading: ReadonlyArray<number>, { a, b, label }: Examples): Tensors => ({
  pairs: int64([...leading, 2], Array.from(a, (first, i) => [first, b[i]]).flat()),
  labels: int64(leading, label),
})

/** Centroids and perturbation energies at `theta`, with what is needed to compute them again. */
const couplingFiles = Effect.fn("couplingFiles")(function* (
  layout: Layout,
  theta: Float32Array,
  pairs: Examples,
  seed: number,
) {
  const engine = yield* TensorEngine
  const probes = draw(pairs, stream(seed, "probe"), PROBES)
  const size = layout.attentionSize
  const direction = new Float32Array(DIRECTIONS * size)
  for (let i = 0; i < DIRECTIONS; i++) direction.set(randomDirection(seed, 0, i, size), i * size)
  const epsilon = Float32Array.of(EPSILON * norm(thetaAttn(layout, theta)))
  const centroidProgram = yield* engine.compile(probeCentroids(layout, PROBES))
  const energyProgram = yield* engine.compileScan(perturbationEnergies(layout, PROBES))
  const { centroids } = yield* centroidProgram.run({ theta, ...probes })
  const { ys } = yield* energyProgram.run({
    carry: {},
    xs: { direction },
    constants: { theta, epsilon, ...probes },
  })
  return {
    "theta.safetensors": encode(stateDict(layout, theta)),
    "probes.safetensors": encode(examples([PROBES], probes)),
    "directions.safetensors": encode({ directions: f32Tensor(direction, [DIRECTIONS, size]) }),
    "expected.safetensors": encode({
      centroids: f32Tensor(centroids, [PROBES, 2 * layout.shape.width]),
      energy: f32Tensor(ys.energy),
      epsilon: f32Tensor(epsilon),
    }),
  }
})

/** The first `steps` steps of a training, in blocks as in training itself. */
const replay = Effect.fn("replay")(function* (training: TrainInput, steps: number) {
  const { data, model, train, seed } = training
  const engine = yield* TensorEngine
  const progress = yield* Progress
  const layout = layoutOf(data, model)
  const pairs = yield* loadPairs(data)
  const initial = initialState(layout, seed)
  const program = yield* engine.compileScan(trainSteps(layout, train, train.batchSize))
  const blocks: Array<Examples> = []
  const losses: Array<number> = []
  let state = initial
  while (losses.length < steps) {
    const count = Math.min(train.evaluateEvery, steps - losses.length)
    const xs = stepInputs(pairs, training, losses.length + 1, count)
    const { carry, ys } = yield* program.run({ carry: state, xs, constants: {} })
    state = carry
    blocks.push(xs)
    losses.push(...ys.loss)
    yield* progress.step({ done: losses.length, total: steps, unit: "step" })
  }
  return { layout, pairs, initial: initial.theta, batches: concatenate(blocks), losses, theta: state.theta }
})

export const exportTwin = Command.make(
  "export-twin",
  {
    run: Flag.String("run").pipe(
      Flag.withMetavar("PIPELINE|DIGEST"),
      Flag.withDescription("A pipeline, or the first digits of the key or trajectory of a stored training"),
      Flag.withDefault("single"),
    ),
    steps: Flag.Int("steps").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))),
      Flag.withDescription("Training steps to export"),
      Flag.withDefault(200),
    ),
    out: Flag.String("out").pipe(Flag.withMetavar("DIR"), Flag.withDescription("Directory to write to")),
    scale,
    set,
    store,
    engine,
    threads,
    json,
  },
  (options) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const fs = yield* FileSystem.FileSystem
        const { join } = yield* Path.Path
        if (options.scale === "smoke") yield* Console.error(SMOKE_NOTE)
        const checkedTraining = yield* trainingOf(options.run, options.scale, options.set)
        const cannotWrite = () => new BadInput({ message: `--out ${options.out}: cannot write there` })
        yield* makeDirectories(options.out).pipe(
          Effect.andThen(fs.access(options.out, { writable: true })),
          Effect.mapError(cannotWrite),
        )
        const training = yield* checkedTraining
        const { layout, pairs, initial, batches, losses, theta } = yield* progress.running(
          "replay",
          replay(training, options.steps),
        )
        const { model, train, seed } = training
        const { learningRate, beta1, beta2, epsilon, weightDecay, clipNorm } = train
        const hyperparameters = {
          learningRate,
          beta1,
          beta2,
          epsilon,
          weightDecay,
          clipNorm,
          heads: model.heads,
        }
        const evidence = options.scale === "smoke" ? { evidence: SMOKE_NOTE } : {}
        const record = { ...evidence, hyperparameters, losses }
        const files = {
          "init.safetensors": encode(stateDict(layout, initial)),
          "batches.safetensors": encode(examples([options.steps, train.batchSize], batches)),
          "final.safetensors": encode(stateDict(layout, theta)),
          "losses.json": new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`),
          ...(yield* couplingFiles(layout, theta, pairs.all, seed)),
        }
        for (const [name, bytes] of Object.entries(files)) {
          yield* commitFile(join(options.out, name), bytes).pipe(
            Effect.mapError(
              () => new BadInput({ message: `--out ${options.out}: cannot write ${name} there` }),
            ),
          )
        }
        if (options.json) {
          return yield* printJson(ExportedTwin, { directory: options.out, files: Object.keys(files) })
        }
        yield* Console.log(`wrote ${Object.keys(files).length} files to ${options.out}`)
      }),
    ).pipe(Effect.provide(runnerLayer({ ...options, command: commandOf("export-twin", options) }))),
).pipe(
  Command.withDescription(descriptions["export-twin"]),
  Command.withExamples([
    {
      command:
        "pnpm pipeline export-twin --run single --steps 200 --out twin && python bench/peers/check_twin.py twin",
      description: "Replay 200 steps in PyTorch and compare",
    },
  ]),
)
