/**
 * Which requests the live view answers. A page elsewhere can make a browser ask 127.0.0.1, under a name of its own (DNS
 * rebinding): so the Host header must be ours; and it can make it post: so what changes anything needs the token that was
 * printed on the terminal.
 */
import { timingSafeEqual } from "node:crypto"
import { sha256 } from "../services/store/canonical.ts"

export interface Request {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly host: string | undefined
  readonly token: string | undefined
}

export type Admission =
  | { readonly _tag: "Page"; readonly hasToken: boolean }
  | { readonly _tag: "Events" }
  | { readonly _tag: "Stop" }
  | { readonly _tag: "Refused"; readonly status: 403 | 404 | 405; readonly because: string }

const refused = (status: 403 | 404 | 405, because: string): Admission => ({
  _tag: "Refused",
  status,
  because,
})

/** In a time that does not depend on where they differ. */
const isSame = (given: string | undefined | null, token: string): boolean =>
  typeof given === "string" && timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(token)))

export const admit = (
  { method, url, host, token: given }: Request,
  { port, token }: { readonly port: number; readonly token: string },
): Admission => {
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) {
    return refused(403, "the Host header is not this server's")
  }
  const [path, query = ""] = url.split("?", 2)
  if (method === "GET" || method === "HEAD") {
    if (path === "/events") return { _tag: "Events" }
    if (path !== "/") return refused(404, "there is no such page")
    return { _tag: "Page", hasToken: isSame(new URLSearchParams(query).get("token"), token) }
  }
  if (!isSame(given, token)) return refused(403, "this needs the token that was printed on the terminal")
  if (path !== "/stop") return refused(404, "there is no such page")
  return method === "POST" ? { _tag: "Stop" } : refused(405, "only POST is possible here")
}
