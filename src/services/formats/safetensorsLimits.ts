/**
 * What a safetensors header must not be beyond what `safetensors.ts` refuses: nested without end, or with a name twice, of
 * which other readers may take the other one. Stands apart from the codec because that counts in every stage's key, and a
 * limit changes no result.
 */
import { Result } from "effect"
import { parseJsonBytes } from "./json.ts"
import { MalformedTensors } from "./safetensors.ts"

/** Fails for such a header. Whether the bytes are safetensors at all is for `decode` to say. */
export const checkTensors = (bytes: Uint8Array): Result.Result<void, MalformedTensors> => {
  if (bytes.length < 8) return Result.succeed(undefined)
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  // Above the codec's limit, or beyond the end.
  if (length > 2 ** 20 || length > bytes.length - 8) return Result.succeed(undefined)
  return Result.mapBoth(parseJsonBytes(bytes.subarray(8, 8 + Number(length)), { refusesNames: false }), {
    onSuccess: () => undefined,
    onFailure: ({ message }) => new MalformedTensors({ message: `header: ${message}` }),
  })
}
