import { assert, describe, it } from "@effect/vitest"
import { admit, type Request } from "../../src/commands/admission.ts"

const server = { port: 4747, token: "a-token-of-the-terminal" }
const asked: Request = { method: "GET", url: "/", host: "127.0.0.1:4747", token: undefined }
const answer = (request: Partial<Request>) => admit({ ...asked, ...request }, server)
const status = (request: Partial<Request>) => {
  const admitted = answer(request)
  return admitted._tag === "Refused" ? admitted.status : admitted._tag
}

describe("the live view", () => {
  it("answers under its own names only: another site's name may lead to 127.0.0.1 too", () => {
    assert.strictEqual(status({}), "Page")
    assert.strictEqual(status({ host: "localhost:4747" }), "Page")
    for (const host of [
      undefined,
      "",
      "evil.example",
      "evil.example:4747",
      "127.0.0.1",
      "127.0.0.1:80",
      "localhost:4747.evil.example",
    ])
      assert.strictEqual(status({ host }), 403, host)
    assert.strictEqual(
      status({ host: "evil.example", method: "POST", url: "/stop", token: server.token }),
      403,
    )
  })

  it("has two pages", () => {
    assert.strictEqual(status({ url: "/events" }), "Events")
    assert.strictEqual(status({ url: "/?token=x" }), "Page")
    assert.strictEqual(status({ method: "HEAD" }), "Page")
    for (const url of [
      "/etc/passwd",
      "/../../etc/passwd",
      "//evil",
      "/stop",
      "/events/",
      "/artifacts/paper/claims.json",
    ])
      assert.strictEqual(status({ url }), 404, url)
  })

  it("changes nothing without the token, whatever is asked for", () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      for (const url of ["/", "/stop", "/events", "/elsewhere"]) {
        for (const token of [undefined, "", "wrong", `${server.token} `, server.token.slice(1)])
          assert.strictEqual(status({ method, url, token }), 403, `${method} ${url} ${token}`)
      }
    }
  })

  it("stops runs for whoever has the token", () => {
    assert.strictEqual(status({ method: "POST", url: "/stop", token: server.token }), "Stop")
    assert.strictEqual(status({ method: "PUT", url: "/stop", token: server.token }), 405)
    assert.strictEqual(status({ method: "POST", url: "/", token: server.token }), 404)
    // In the address it only shows the button: a link elsewhere could have it too.
    assert.strictEqual(status({ method: "POST", url: `/stop?token=${server.token}` }), 403)
  })

  it("shows the button to whoever has the token", () => {
    assert.deepStrictEqual(answer({ url: `/?token=${server.token}` }), { _tag: "Page", hasToken: true })
    assert.deepStrictEqual(answer({ url: "/?token=wrong" }), { _tag: "Page", hasToken: false })
    assert.deepStrictEqual(answer({}), { _tag: "Page", hasToken: false })
  })
})
