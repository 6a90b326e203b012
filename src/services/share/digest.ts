/** Digests of what is read piece by piece. */
import { createHash } from "node:crypto"
import { Effect, Stream } from "effect"

export interface Digested {
  readonly sha256: string
  readonly bytes: number
}

/** Length and SHA-256 of a stream, each piece of which goes to `each` first. */
export const digestOfStream = <E, R, E2, R2>(
  content: Stream.Stream<Uint8Array, E, R>,
  each: (piece: Uint8Array) => Effect.Effect<void, E2, R2>,
): Effect.Effect<Digested, E | E2, R | R2> =>
  Effect.suspend(() => {
    const hash = createHash("sha256")
    let bytes = 0
    return Stream.runForEach(content, (piece) => {
      hash.update(piece)
      bytes += piece.length
      return each(piece)
    }).pipe(Effect.map(() => ({ sha256: hash.digest("hex"), bytes })))
  })
