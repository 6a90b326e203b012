/** `--set train.learningRate=3e-4`: changes of single fields of a configuration, checked by its Schema. */
import { Effect, Predicate, Schema, SchemaAST, SchemaIssue } from "effect"
import { BadInput, suggest } from "./BadInput.ts"

type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree => Predicate.isObject(value) && !Array.isArray(value)

/** Dotted names of all leaves. */
const leaves = (tree: Tree, prefix = ""): ReadonlyArray<string> =>
  Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) ? leaves(value, `${prefix}${key}.`) : [`${prefix}${key}`],
  )

/** Dotted names of all fields that a configuration can have, those of every alternative of a union among them. */
const fieldsOf = (ast: SchemaAST.AST, path: ReadonlyArray<string> = []): ReadonlyArray<string> => {
  const groups = (SchemaAST.isUnion(ast) ? ast.types : [ast]).filter(SchemaAST.isObjects)
  if (groups.length === 0) return [path.join(".")]
  const fields = groups.flatMap(({ propertySignatures }) =>
    propertySignatures.flatMap(({ name, type }) => fieldsOf(type, [...path, String(name)])),
  )
  return [...new Set(fields)]
}

/** Dotted names of the leaves in which two trees of the same form differ. */
export const changedFields = (from: Tree, to: Tree): ReadonlyArray<string> =>
  leaves(from).filter((field) => lookUp(from, field.split(".")) !== lookUp(to, field.split(".")))

const lookUp = (tree: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>((node, key) => (isTree(node) ? node[String(key)] : undefined), tree)

const replace = (tree: Tree, [key, ...rest]: ReadonlyArray<string>, value: unknown): Tree => {
  const below = tree[key]
  return { ...tree, [key]: rest.length === 0 || !isTree(below) ? value : replace(below, rest, value) }
}

/** Numbers, booleans and null as in JSON; anything else is text, and so is everything where there was text before. */
const parse = (text: string, before: unknown): unknown => {
  if (typeof before === "string") return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** The fields to suggest for an unknown one: those below it, else those of the same group, else all. */
const related = (field: string, valid: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [group] = field.split(".")
  const startingWith = (prefix: string) => valid.filter((name) => name.startsWith(prefix))
  return [startingWith(`${field}.`), startingWith(`${group}.`), valid].find((names) => names.length > 0) ?? []
}

/** The configuration `base` with `settings` (each `field=value`) applied, or the first thing wrong with them. */
export const override = Effect.fn("override")(function* <T extends Tree>(
  schema: Schema.ConstraintCodec<T, unknown>,
  base: T,
  settings: ReadonlyArray<string>,
) {
  let changed: Tree = base
  const valid = fieldsOf(schema.ast)
  for (const setting of settings) {
    const [field, ...value] = setting.split("=")
    if (value.length === 0) {
      return yield* new BadInput({
        message: `--set ${setting}: expected field=value, such as --set seed=137`,
      })
    }
    if (!valid.includes(field)) {
      return yield* new BadInput({
        message: `--set ${setting}: unknown field ${field}${suggest(field, related(field, valid))}`,
      })
    }
    const path = field.split(".")
    changed = replace(changed, path, parse(value.join("="), lookUp(changed, path)))
  }
  return yield* Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })(changed).pipe(
    Effect.mapError(({ issue }) => {
      const [{ path = [], message }] = formatIssue(issue).issues
      const field = path.map(String).join(".")
      const given = JSON.stringify(lookUp(changed, path.map(String)))
      const got = message.includes(", got ") || given === undefined ? "" : `, got ${given}`
      return new BadInput({ message: `--set ${field}: ${message}${got}` })
    }),
  )
})
