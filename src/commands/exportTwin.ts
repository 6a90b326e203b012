import { Command } from "effect/cli"
import { store } from "./options.ts"
export const exportTwin = Command.make("export-twin", { store })
