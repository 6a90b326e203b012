/** Fields of a configuration by dotted name, such as `train.learningRate`: which there are, and changes of them. */
import { Predicate, Result, Schema, SchemaAST, SchemaIssue } from "effect"
import { suggest } from "./suggest.ts"

export type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree => Predicate.isObject(value) && !Array.isArray(value)

/** Dotted names of all leaves. */
const leaves = (tree: Tree, prefix = ""): ReadonlyArray<string> =>
  Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) ? leaves(value, `${prefix}${key}.`) : [`${prefix}${key}`],
  )

/** Dotted names of all fields that a configuration can have, those of every alternative of a union among them. */
export const fieldsOf = (ast: SchemaAST.AST, path: ReadonlyArray<string> = []): ReadonlyArray<string> => {
  const groups = (SchemaAST.isUnion(ast) ? ast.types : [ast]).filter(SchemaAST.isObjects)
  if (groups.length === 0) return [path.join(".")]
  const fields = groups.flatMap(({ propertySignatures }) =>
    propertySignatures.flatMap(({ name, type }) => fieldsOf(type, [...path, String(name)])),
  )
  return [...new Set(fields)]
}

const along = (tree: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>((node, key) => {
    if (Array.isArray(node)) return node[Number(key)]
    return isTree(node) ? node[String(key)] : undefined
  }, tree)

/** The value of a field; undefined where there is none. */
export const valueAt = (tree: unknown, field: string): unknown => along(tree, field.split("."))

/** Dotted names of the leaves in which two trees of the same form differ. */
export const changedFields = (from: Tree, to: Tree): ReadonlyArray<string> =>
  leaves(from).filter((field) => valueAt(from, field) !== valueAt(to, field))

const replace = (tree: Tree, [key, ...rest]: ReadonlyArray<string>, value: unknown): Tree => {
  const below = tree[key]
  return { ...tree, [key]: rest.length === 0 || !isTree(below) ? value : replace(below, rest, value) }
}

/** What is wrong with a field. */
export interface FieldIssue {
  readonly field: string
  readonly message: string
}

/** The fields to suggest for an unknown one: those below it, else those of the same group, else all. */
const related = (field: string, valid: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [group] = field.split(".")
  const startingWith = (prefix: string) => valid.filter((name) => name.startsWith(prefix))
  return [startingWith(`${field}.`), startingWith(`${group}.`), valid].find((names) => names.length > 0) ?? []
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** The first thing wrong with a value, by dotted name of where it is. */
export const firstIssue = (issue: SchemaIssue.Issue, value: unknown) => {
  const [{ path: where = [], message }] = formatIssue(issue).issues
  const path = where.map((key) => (typeof key === "number" ? key : String(key)))
  const given = JSON.stringify(along(value, path))
  const got = message.includes(", got ") || given === undefined ? "" : `, got ${given}`
  return {
    path,
    field: path.join("."),
    message: message === "Missing key" ? "is missing" : `${message}${got}`,
  }
}

/** The configuration `base` with values of fields by dotted name applied, or the first thing wrong with them. */
export const withSettings = <T extends Tree>(
  schema: Schema.ConstraintCodec<T, unknown>,
  base: T,
  settings: ReadonlyArray<readonly [field: string, value: unknown]>,
): Result.Result<T, FieldIssue> => {
  let changed: Tree = base
  const valid = fieldsOf(schema.ast)
  for (const [field, value] of settings) {
    if (!valid.includes(field)) {
      return Result.fail({ field, message: `unknown field ${field}${suggest(field, related(field, valid))}` })
    }
    changed = replace(changed, field.split("."), value)
  }
  return Schema.decodeUnknownResult(schema, { onExcessProperty: "error" })(changed).pipe(
    Result.mapError(({ issue }) => firstIssue(issue, changed)),
  )
}
