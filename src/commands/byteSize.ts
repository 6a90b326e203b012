/** Amounts of data as people write and read them. */
import { ByteSize, Option } from "effect"

const AMOUNT = /^\d+(\.\d+)?\s?(B|kB|MB|GB|TB|KiB|MiB|GiB)$/

/** Bytes of an amount such as `5GB`, `1.5 GiB` or `512 B`. */
export const parseBytes = (text: string): Option.Option<number> =>
  AMOUNT.test(text) ? Option.flatMap(ByteSize.fromString(text), ByteSize.toNumber) : Option.none()

/** Such as `1.5 GB`. */
export const bytesText = (bytes: number): string =>
  ByteSize.format(ByteSize.bytes(bytes), { system: "decimal", precision: 1 })
