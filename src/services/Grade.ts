/** How well a stage's output is determined, known by computing it again. */
import { Schema } from "effect"

/** Beyond this, two outputs have nothing in common but their distribution. 1024 ulps are 6e-5 to 1.2e-4 of a number. */
export const MOST_ULPS = 1024

export const Grade = Schema.Union([
  /** Every byte is the same. */
  Schema.TaggedStruct("Bitwise", {}),
  /** Every number is at most so many units in the last place of float32 away. */
  Schema.TaggedStruct("WithinUlps", { ulps: Schema.Int }),
  /** Numbers are further apart, or the outputs have other shapes: equal in distribution at best. */
  Schema.TaggedStruct("Statistical", {}),
])
export type Grade = typeof Grade.Type

export const describeGrade = (grade: Grade): string => {
  switch (grade._tag) {
    case "Bitwise":
      return "bitwise"
    case "WithinUlps":
      return `within ${grade.ulps} ulp`
    case "Statistical":
      return "statistical only"
  }
}

/** The grade of two outputs at a distance. */
export const gradeOf = (distance: number): Grade => {
  if (distance === 0) return { _tag: "Bitwise" }
  return distance <= MOST_ULPS ? { _tag: "WithinUlps", ulps: distance } : { _tag: "Statistical" }
}
