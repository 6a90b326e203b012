/** `pnpm bench`: side-by-side benchmarks, each against peers that run in the same minutes. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { chart } from "./chart.ts"
import { dispatch } from "./dispatch.ts"
import { ensembles } from "./ensembles.ts"
import { intervened } from "./intervened.ts"
import { parity } from "./parity.ts"
import { coupling, directions, evaluate, multitask, step, svds } from "./races.ts"
import { reproduce } from "./reproduce.ts"
import { scale } from "./scale.ts"
import { start } from "./start.ts"
import { store } from "./store.ts"

const bench = Command.make("bench").pipe(
  Command.withDescription("Side-by-side benchmarks"),
  Command.withSubcommands([
    step,
    multitask,
    intervened,
    evaluate,
    coupling,
    ...svds,
    directions,
    parity,
    ensembles,
    dispatch,
    store,
    start,
    reproduce,
    scale,
    chart,
  ]),
)

NodeRuntime.runMain(Command.run(bench, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer)))
