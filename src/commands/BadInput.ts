/** What a person asked for cannot be done as written. Ends the command with exit code 2. */
import { Schema } from "effect"

export { suggest } from "../pipelines/suggest.ts"

export class BadInput extends Schema.TaggedError<BadInput>()("BadInput", { message: Schema.String }) {}
