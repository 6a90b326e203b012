/** Errors as one line: what, where, what was expected, what to do. */

/** The message of an error without line breaks. */
export const oneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ").trim()
