/** The scales that all that is declared is run at. They stand apart from it: every command has the flag. */

export const scales = ["paper", "smoke"] as const
export type Scale = (typeof scales)[number]

/** Marks everything that comes from a smoke run. */
export const SMOKE_NOTE = "smoke: not evidence"
