/** An engine that cannot be used on this machine as it is; `next` is the one thing to do about it. */
import { Schema } from "effect"

export class EngineUnavailable extends Schema.TaggedError<EngineUnavailable>()("EngineUnavailable", {
  engine: Schema.String,
  because: Schema.String,
  next: Schema.String,
}) {
  override get message() {
    return `engine ${this.engine} cannot be used: ${this.because}; ${this.next}`
  }
}
