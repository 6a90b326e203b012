/** Spans of time as text. */

/** `12 s`, `3 min 04 s`, `2 h 05 min`. */
export const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return "?"
  const s = Math.round(seconds)
  if (s < 60) return `${s} s`
  return s < 3600
    ? `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`
    : `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`
}

/** The same without seconds from a minute on: `12 s`, `3 min`, `2 h 05 min`. */
export const roughDuration = (seconds: number): string =>
  seconds < 60
    ? duration(seconds)
    : seconds < 3570
      ? `${Math.round(seconds / 60)} min`
      : duration(60 * Math.round(seconds / 60))

/** The same with a tenth below ten seconds: `0.4 s`, `12 s`, `3 min`. */
export const briefDuration = (seconds: number): string =>
  seconds < 9.95 ? `${seconds.toFixed(1)} s` : roughDuration(seconds)
