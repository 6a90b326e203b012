/** The PostgreSQL database by which the processes of a cluster find each other. No password in arguments: those are visible to everybody. */
import { readFileSync, statSync } from "node:fs"
import { homedir, userInfo } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** The address of a cluster cannot be used. */
export class BadAddress extends Schema.TaggedError<BadAddress>()("BadAddress", { because: Schema.String }) {
  override get message() {
    return `${this.because}; expected postgres://USER@HOST:PORT/DATABASE, with the password in PGPASSWORD or in ~/.pgpass`
  }
}

/** The database of a cluster does not answer, or refuses. */
export class ClusterUnreachable extends Schema.TaggedError<ClusterUnreachable>()("ClusterUnreachable", {
  address: Schema.String,
  because: Schema.String,
}) {
  override get message() {
    return `cannot use the database ${this.address}: ${this.because}; check that it runs, its address, and the password in PGPASSWORD or ~/.pgpass`
  }
}

export interface Address {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
  readonly tls: boolean
}

/** An address without secrets, that {@link parseAddress} reads. */
export const addressText = ({ host, port, database, username, tls }: Address): string => {
  const place = host.includes(":") ? `[${host}]` : host
  const mode = tls ? "?sslmode=verify-full" : ""
  return `postgres://${encodeURIComponent(username)}@${place}:${port}/${encodeURIComponent(database)}${mode}`
}

export const parseAddress = (text: string): Effect.Effect<Address, BadAddress> =>
  Effect.gen(function* () {
    const bad = (because: string) => new BadAddress({ because })
    const url = yield* Effect.try({ try: () => new URL(text), catch: () => bad("it is no URL") })
    if (url.protocol !== "postgres:" && url.protocol !== "postgresql:")
      return yield* bad("it is no postgres:// URL")
    if (url.password !== "")
      return yield* bad("it contains a password, which everybody on this machine could read")
    const database = decodeURIComponent(url.pathname.slice(1))
    if (url.hostname === "" || database === "") return yield* bad("it names no host or no database")
    for (const parameter of url.searchParams.keys()) {
      if (parameter !== "sslmode")
        return yield* bad(`it has the parameter ${parameter}; only sslmode is known`)
    }
    const mode = url.searchParams.get("sslmode") ?? "disable"
    if (mode !== "disable" && mode !== "verify-full")
      return yield* bad("its sslmode is neither disable nor verify-full")
    return {
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 5432 : Number(url.port),
      database,
      username: url.username === "" ? userInfo().username : decodeURIComponent(url.username),
      tls: mode === "verify-full",
    }
  })

/** Fields of a line of a password file, whose colons and backslashes are escaped. */
const fieldsOf = (line: string): ReadonlyArray<string> =>
  (line.match(/(?:\\.|[^:\\])*(?::|$)/g) ?? []).map((field) =>
    field.replace(/:$/, "").replace(/\\(.)/g, "$1"),
  )

/** The password that a password file has for an address: libpq's format, `host:port:database:user:password`. */
export const passwordIn = (
  text: string,
  { host, port, database, username }: Address,
): Option.Option<string> => {
  const wanted = [host, String(port), database, username]
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue
    const fields = fieldsOf(line)
    if (wanted.every((value, i) => fields[i] === "*" || fields[i] === value))
      return Option.fromNullishOr(fields[4])
  }
  return Option.none()
}

/** PGPASSWORD, or that of the password file, which nobody else may read. */
const password = (address: Address): Option.Option<Redacted.Redacted> => {
  const { PGPASSWORD, PGPASSFILE = join(homedir(), ".pgpass") } = process.env
  if (PGPASSWORD !== undefined) return Option.some(Redacted.make(PGPASSWORD))
  try {
    if ((statSync(PGPASSFILE).mode & 0o077) !== 0) return Option.none()
    return Option.map(passwordIn(readFileSync(PGPASSFILE, "utf8"), address), (text) => Redacted.make(text))
  } catch {
    return Option.none()
  }
}

/** The innermost reason of an error of the database's. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const inner = error.cause
  return inner === undefined || inner === null ? error.message : reasonOf(inner)
}

export const unreachable = (address: Address, error: unknown): ClusterUnreachable =>
  error instanceof ClusterUnreachable
    ? error
    : new ClusterUnreachable({ address: addressText(address), because: reasonOf(error) })

/**
 * Connections to the database; fails with {@link ClusterUnreachable} where it cannot be used.
 * @param waitsForDisk what is not waited for is lost where the database crashes in the second after, the last first
 */
export const databaseLayer = (address: Address, { waitsForDisk }: { readonly waitsForDisk: boolean }) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`SELECT 1`
    }),
  ).pipe(
    Layer.provideMerge(
      PgClient.layer({
        host: address.host,
        port: address.port,
        database: address.database,
        username: address.username,
        ...Option.match(password(address), { onNone: () => ({}), onSome: (password) => ({ password }) }),
        ssl: address.tls,
        applicationName: "grokscope",
        startupParameters: waitsForDisk ? {} : { synchronous_commit: "off" },
        connectTimeout: "5 seconds",
        keepAlive: "10 seconds",
        maxConnections: 4,
      }),
    ),
    Layer.catch((error) => Layer.effectContext(Effect.fail(unreachable(address, error)))),
  )
