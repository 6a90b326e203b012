/** Which source files a module is made of, read from its import statements: what fingerprints are checked against. */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** What a module imports and runs; types are gone before that. */
const importsOf = (file: string): ReadonlyArray<string> =>
  [
    ...readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\s+(?!type\b)(?:[^"']*?\sfrom\s+)?"(\.[^"]+)"/gm,
    ),
  ].map(([, specifier]) => join(dirname(file), specifier))

/** The files of a stage, itself included; services are not part of it. */
export const importClosure = (entry: string): ReadonlySet<string> => {
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file) || file.includes("/services/")) return
    seen.add(file)
    importsOf(file).forEach(visit)
  }
  visit(entry)
  return seen
}
