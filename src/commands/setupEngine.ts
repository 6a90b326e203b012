/** `setup-engine`: builds what the engines on TensorFlow need; nothing of it runs during an install. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { setUp, undo } from "../services/engine/tfjsNode/setUp.ts"
import { BadInput } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { json } from "./options.ts"
import { printJson } from "./printJson.ts"

/** What `--json` prints: what was built, or whether there was anything to undo. */
export const SetUp = Schema.Union([
  Schema.Struct({ directory: Schema.String, tensorflow: Schema.String, gpu: Schema.Boolean }),
  Schema.Struct({ directory: Schema.String, undone: Schema.Boolean }),
])

const say = (line: string) => Console.error(line)

const build = Effect.fnUntraced(function* (options: {
  readonly tensorflow: Parameters<typeof setUp>[0]
  readonly json: boolean
}) {
  const built = yield* setUp(options.tensorflow, say).pipe(
    Effect.catchTag("PlatformError", ({ message }) => Effect.fail(new BadInput({ message }))),
  )
  if (options.json) return yield* printJson(SetUp, built)
  const { directory, tensorflow, gpu } = built
  yield* Console.log(
    [
      `TensorFlow ${tensorflow}, ${gpu ? "on a GPU" : "on the CPU: it finds no GPU"}; written to ${directory}`,
      `use it with --engine ${gpu ? "tfjs-node-gpu" : "tfjs-node"}; undo with: pnpm pipeline setup-engine tfjs-node-gpu --undo`,
    ].join("\n"),
  )
})

const takeBack = Effect.fnUntraced(function* (asJson: boolean) {
  const taken = yield* undo.pipe(
    Effect.catchTag("PlatformError", ({ message }) => Effect.fail(new BadInput({ message }))),
  )
  if (asJson) return yield* printJson(SetUp, taken)
  const { directory, undone } = taken
  yield* Console.log(undone ? `removed ${directory}` : `nothing to undo: there is no ${directory}`)
})

export const setupEngine = Command.make(
  "setup-engine",
  {
    engine: Argument.Literals("engine", ["tfjs-node-gpu", "tfjs-node"]).pipe(
      Argument.withDescription(
        "The engine to set up: either sets up both, one on a GPU, the other on the CPU",
      ),
    ),
    tensorflow: Flag.String("tensorflow").pipe(
      Flag.withMetavar("PATH"),
      Flag.withDescription(
        "A Python interpreter, its environment, the folder of TensorFlow in it, or a wheel (default: that of python3)",
      ),
      Flag.optional,
    ),
    undo: Flag.Boolean("undo").pipe(Flag.withDescription("Remove what was set up"), Flag.withDefault(false)),
    json,
  },
  (options) => (options.undo ? takeBack(options.json) : build(options)),
).pipe(
  Command.withDescription(descriptions["setup-engine"]),
  Command.withExamples([
    {
      command: "python3 -m venv tf && tf/bin/pip install 'tensorflow[and-cuda]'",
      description: "A TensorFlow for NVIDIA's GPUs; tensorflow-cpu does for the CPU",
    },
    { command: "pnpm pipeline setup-engine tfjs-node-gpu --tensorflow tf", description: "Build against it" },
  ]),
)
