/** Stores in a bucket of a real Ceph RADOS gateway, seen from several machines: each has a cache directory of its own. */
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { S3 } from "@aws-sdk/client-s3"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer, Option } from "effect"
import { ArtifactStore, type StageRecord } from "../../../src/services/ArtifactStore.ts"
import { directoryOf } from "../../../src/services/bucket/address.ts"
import { openBucket } from "../../../src/services/bucket/Bucket.ts"
import { bucketFiles } from "../../../src/services/bucket/bucketFiles.ts"
import { pastRuns } from "../../../src/services/Journal.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { cli, start } from "../../commands/process.ts"
import { recordsOf } from "../../crash/stores.ts"
import { labels, settings, tiny } from "../../pipelines/tiny.ts"
import { binaries, startPostgres } from "../remote/postgres.ts"
import { freePort } from "../remote/servers.ts"
import { filesBelow, temporaryDirectory } from "../store/temporary.ts"
import { hasCeph, SECRET_KEY, startCeph } from "./ceph.ts"

const TIMEOUT = 120_000

/** The service, and what a client asks it directly. */
class Service extends Context.Service<Service, Effect.Success<typeof startCeph> & { readonly client: S3 }>()(
  "test/Service",
) {
  static readonly layer = Layer.effect(
    Service,
    Effect.gen(function* () {
      const ceph = yield* startCeph
      const cache = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "grokscope-test-cache-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true })),
      )
      Object.assign(process.env, ceph.env, { XDG_CACHE_HOME: cache })
      const client = new S3({
        endpoint: ceph.env.AWS_ENDPOINT_URL_S3,
        region: "us-east-1",
        forcePathStyle: true,
      })
      yield* Effect.promise(() => client.createBucket({ Bucket: "lab" }))
      return { ...ceph, client }
    }),
  )
}

const directoryAt = (name: string) => directoryOf(`s3://lab/${name}`) ?? ""
const files = bucketFiles.pipe(Layer.provideMerge(NodeServices.layer))
const storeAt = (name: string) => ArtifactStore.layer(directoryAt(name)).pipe(Layer.provideMerge(files))
/** The cache is another machine's now, which has nothing. */
const elsewhere = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const cache = mkdtempSync(join(tmpdir(), "grokscope-test-cache-"))
  const before = process.env.XDG_CACHE_HOME
  process.env.XDG_CACHE_HOME = cache
  return yield* Effect.ensuring(
    effect,
    Effect.sync(() => {
      process.env.XDG_CACHE_HOME = before
      rmSync(cache, { recursive: true, force: true })
    }),
  )
})
const keysBelow = Effect.fnUntraced(function* (prefix: string) {
  const { client } = yield* Service
  const { Contents = [] } = yield* Effect.promise(() =>
    client.listObjectsV2({ Bucket: "lab", Prefix: `${prefix}/` }),
  )
  return Contents.map(({ Key = "" }) => Key.slice(prefix.length + 1))
})

const record = (key: string, output: unknown): StageRecord => ({
  stage: "train",
  key,
  preimage: {},
  cursor: key,
  output,
  provenance: { committedAt: "2026-01-01T00:00:00Z", seconds: 1, machine: "m", node: "v24" },
})
const KEY = "a".repeat(64)

describe("a bucket whose address is wrong", () => {
  const at = (url: string) =>
    Effect.map(temporaryDirectory, (cache) => ({
      AWS_ENDPOINT_URL_S3: url,
      AWS_ACCESS_KEY_ID: "lab",
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      XDG_CACHE_HOME: cache,
    }))

  it.live("is said to be waited for where nobody answers, with the address and the reason", () =>
    Effect.gen(function* () {
      const env = yield* at("http://127.0.0.1:9")
      const { printed } = yield* start(["status", "--store", "s3://lab/grok"], { env })
      let said = ""
      while (said === "") {
        yield* Effect.sleep(50)
        said = (yield* printed).stderr
      }
      assert.match(
        said,
        /^s3:\/\/lab at http:\/\/127\.0\.0\.1:9 does not answer \(.*ECONNREFUSED.*\); trying again for two minutes\n$/,
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
  )

  it.live("is no empty store where another web server answers", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Effect.acquireRelease(
        Effect.sync(() => createServer((_, answer) => answer.writeHead(404).end()).listen(port, "127.0.0.1")),
        (server) => Effect.sync(() => server.close()),
      )
      const env = yield* at(`http://127.0.0.1:${port}`)
      for (const command of ["status", "gc", "verify"]) {
        const { code, stdout, stderr } = yield* cli([command, "--store", "s3://lab/grok"], { env })
        assert.strictEqual(code, 1, command)
        assert.strictEqual(stdout, "")
        assert.match(
          stderr,
          /^error: cannot [^\n]+: NotFound; check the bucket's name, AWS_ENDPOINT_URL_S3 [^\n]+\n$/,
        )
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
  )
})

// Left out where there is no Ceph: apt-get install radosgw ceph-mon ceph-osd.
;(hasCeph ? describe : describe.skip)("a bucket", () => {
  layer(Service.layer, { excludeTestServices: true, timeout: TIMEOUT })((it) => {
    it.effect("what was created once stays, whoever else creates it", () =>
      Effect.gen(function* () {
        const bucket = yield* openBucket("lab")
        const texts = ["a", "b", "c", "d", "e", "f"].map((text) => new TextEncoder().encode(text))
        yield* Effect.forEach(texts, (bytes) => bucket.create("race", bytes), { concurrency: "unbounded" })
        const first = yield* bucket.get("race")
        for (const bytes of texts) yield* bucket.create("race", bytes)
        assert.deepStrictEqual(yield* bucket.get("race"), first)
        yield* bucket.put("race", texts[0])
        assert.deepStrictEqual(yield* bucket.get("race"), texts[0])
      }).pipe(Effect.scoped),
    )

    it.effect("what is large is sent in parts and comes back whole", () =>
      Effect.gen(function* () {
        const bucket = yield* openBucket("lab")
        const bytes = new Uint8Array(randomBytes(40_000_001))
        yield* bucket.create("large", bytes)
        assert.deepStrictEqual(
          Option.map(yield* bucket.find("large"), ({ bytes }) => bytes),
          Option.some(bytes.length),
        )
        const digest = (of: Uint8Array) => createHash("sha256").update(of).digest("hex")
        assert.strictEqual(digest(yield* bucket.get("large")), digest(bytes))
        yield* bucket.create("large", new Uint8Array(20_000_000))
        assert.strictEqual(digest(yield* bucket.get("large")), digest(bytes))
      }).pipe(Effect.scoped),
    )

    it.effect("more names are listed than the service gives at once", () =>
      Effect.gen(function* () {
        const bucket = yield* openBucket("lab")
        const names = Array.from({ length: 1_050 }, (_, i) => `${i}.json`)
        yield* Effect.forEach(names, (name) => bucket.put(`many/${name}`, new Uint8Array(1)), {
          concurrency: 16,
        })
        assert.deepStrictEqual([...(yield* bucket.list("many/"))].sort(), names.toSorted())
        assert.include(yield* bucket.list(""), "many")
        assert.isFalse(yield* bucket.isEmpty("many/"))
        assert.isTrue(yield* bucket.isEmpty("man/"))
        yield* bucket.remove("many/0.json")
        yield* bucket.remove("many/0.json")
        assert.isTrue(Option.isNone(yield* bucket.find("many/0.json")))
        assert.strictEqual((yield* Effect.flip(bucket.get("many/0.json"))).reason._tag, "NotFound")
        assert.strictEqual((yield* Effect.flip(bucket.touch("many/0.json"))).reason._tag, "NotFound")
      }).pipe(Effect.scoped),
    )

    it.effect("a service that is away for some seconds is waited for, by many at once", () =>
      Effect.gen(function* () {
        const { start, stop } = yield* Service
        const bucket = yield* openBucket("lab")
        yield* stop
        const names = Array.from({ length: 100 }, (_, i) => `patience/${i}`)
        const put = yield* Effect.forkChild(
          Effect.forEach(names, (name) => bucket.put(name, new Uint8Array([1])), {
            concurrency: "unbounded",
          }),
        )
        yield* Effect.sleep("3 seconds")
        yield* start
        yield* Fiber.join(put)
        assert.lengthOf(yield* bucket.list("patience/"), names.length)
      }).pipe(Effect.scoped),
    )

    it.effect("wrong credentials, and a wrong name, fail with a reason and without the secret", () =>
      Effect.gen(function* () {
        const { env: right } = yield* Service
        for (const [store, env, reason] of [
          [
            "s3://lab/closed",
            { AWS_SECRET_ACCESS_KEY: `${SECRET_KEY}!` },
            /AccessDenied|SignatureDoesNotMatch/,
          ],
          ["s3://nowhere/closed", {}, /NoSuchBucket/],
        ] as const) {
          const { code, stderr, stdout } = yield* cli(
            ["run", "single", "--scale", "smoke", "--store", store],
            { env: { ...right, ...env } },
          )
          assert.strictEqual(code, 2)
          assert.match(stderr, reason)
          assert.notInclude(stderr + stdout, SECRET_KEY)
          assert.lengthOf(stderr.trim().split("\n"), 1)
        }
        assert.deepStrictEqual(yield* keysBelow("closed"), [])
        const { code, stderr } = yield* cli(["status", "--store", `s3://lab:${SECRET_KEY}@lab/x`], {
          env: right,
        })
        assert.strictEqual(code, 2)
        assert.notInclude(stderr, SECRET_KEY)
      }),
    )

    it.effect("is the same store for every machine; blobs are kept on each", () =>
      Effect.gen(function* () {
        const bytes = new Uint8Array(randomBytes(1000))
        const ref = yield* Effect.gen(function* () {
          const store = yield* ArtifactStore
          const ref = yield* store.put("safetensors", bytes)
          yield* store.commitRecord(record(KEY, ref))
          yield* store.advance("train", KEY, 0, { step: 0 })
          yield* store.advance("train", KEY, 1, { step: 25 })
          return ref
        }).pipe(Effect.provide(storeAt("shared")))
        assert.deepStrictEqual(
          (yield* keysBelow("shared")).map((key) => key.split("/")[0]),
          ["cursors", "cursors", "objects", "records"],
        )
        yield* elsewhere(
          Effect.gen(function* () {
            const store = yield* ArtifactStore
            assert.isTrue(yield* store.has(ref))
            assert.isFalse(existsSync(store.pathOf(ref)))
            assert.deepStrictEqual(yield* store.get(ref), bytes)
            assert.deepStrictEqual(new Uint8Array(readFileSync(store.pathOf(ref))), bytes)
            assert.deepStrictEqual(yield* store.record("train", KEY), Option.some(record(KEY, ref)))
            assert.deepStrictEqual(yield* store.recordNames, [{ stage: "train", key: KEY }])
            assert.deepStrictEqual(yield* store.cursor("train", KEY), [{ step: 0 }, { step: 25 }])
            assert.deepStrictEqual(yield* store.find(ref.digest.slice(0, 6)), [ref])
            yield* store.drop(ref)
            assert.isFalse(yield* store.has(ref))
          }).pipe(Effect.provide(Layer.unwrap(Effect.sync(() => storeAt("shared"))))),
        )
      }),
    )

    it.effect("a blob that is bad on this machine is had anew, one that is bad in the bucket goes", () =>
      Effect.gen(function* () {
        const store = yield* ArtifactStore
        const { client } = yield* Service
        const ref = yield* store.put("safetensors", new Uint8Array(randomBytes(100)))
        const good = readFileSync(store.pathOf(ref))
        const Key = `bad/objects/${ref.digest.slice(0, 2)}/${ref.digest}.safetensors`

        writeFileSync(store.pathOf(ref), good.subarray(1))
        assert.match((yield* Effect.flip(store.get(ref))).message, /moved to quarantine/)
        assert.deepStrictEqual(Buffer.from(yield* store.get(ref)), good)

        yield* Effect.promise(() => client.putObject({ Bucket: "lab", Key, Body: "something else" }))
        rmSync(store.pathOf(ref))
        assert.match((yield* Effect.flip(store.get(ref))).message, /moved to quarantine/)
        assert.isFalse(yield* store.has(ref))
        assert.match((yield* Effect.flip(store.get(ref))).message, /missing from the store/)
        assert.lengthOf(
          (yield* keysBelow("bad")).filter(
            (key) => key.startsWith("quarantine/") && !key.endsWith(".cause.json"),
          ),
          1,
        )
      }).pipe(Effect.provide(storeAt("bad"))),
    )

    it.effect("a blob that is of another length in the bucket is put anew", () =>
      Effect.gen(function* () {
        const store = yield* ArtifactStore
        const { client } = yield* Service
        const bytes = new Uint8Array(randomBytes(100))
        const ref = yield* store.put("safetensors", bytes)
        const Key = `short/objects/${ref.digest.slice(0, 2)}/${ref.digest}.safetensors`
        yield* Effect.promise(() => client.putObject({ Bucket: "lab", Key, Body: bytes.subarray(1) }))
        rmSync(store.pathOf(ref))
        yield* store.put("safetensors", bytes)
        rmSync(store.pathOf(ref))
        assert.deepStrictEqual(yield* store.get(ref), bytes)
      }).pipe(Effect.provide(storeAt("short"))),
    )

    it.effect("a damaged record is moved to quarantine", () =>
      Effect.gen(function* () {
        const store = yield* ArtifactStore
        const { client } = yield* Service
        yield* store.commitRecord(record(KEY, 1))
        const Key = `torn/records/train/${KEY}.json`
        yield* Effect.promise(() => client.putObject({ Bucket: "lab", Key, Body: "{" }))
        assert.match((yield* Effect.flip(store.record("train", KEY))).message, /moved to quarantine/)
        assert.isTrue(Option.isNone(yield* store.record("train", KEY)))
      }).pipe(Effect.provide(storeAt("torn"))),
    )

    it.effect("has leases: of many that want one thing, one has it at a time", () =>
      Effect.gen(function* () {
        let [holders, most, turns] = [0, 0, 0]
        const processes = yield* Effect.forEach(Array.from({ length: 4 }), () =>
          Effect.map(Layer.build(Leases.layer("test")), (context) => Context.get(context, Leases)),
        )
        const once = (leases: (typeof processes)[number]): Effect.Effect<void, unknown> =>
          Effect.scoped(
            Effect.gen(function* () {
              if (Option.isSome(yield* leases.take("thing", "thing"))) return false
              most = Math.max(most, ++holders)
              yield* Effect.sleep(20)
              holders--
              turns++
              return true
            }),
          ).pipe(Effect.flatMap((had) => (had ? Effect.void : Effect.suspend(() => once(leases)))))
        yield* Effect.forEach(processes, once, { concurrency: "unbounded" })
        assert.deepStrictEqual([most, turns], [1, 4])
      }).pipe(Effect.scoped, Effect.provide(storeAt("leases"))),
    )

    it.effect("a file that is not in it is nowhere, and a directory is what has something in it", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const root = directoryAt("tree")
        yield* fs.writeFileString(join(root, "pins", "a.json"), "{}")
        assert.isTrue(yield* fs.exists(join(root, "pins")))
        assert.isFalse(yield* fs.exists(join(root, "pin")))
        assert.strictEqual((yield* fs.stat(join(root, "pins"))).type, "Directory")
        assert.deepStrictEqual(yield* fs.readDirectory(root), ["pins"])
        assert.deepStrictEqual(yield* fs.readDirectory(root, { recursive: true }), ["pins/a.json"])
        assert.strictEqual(
          (yield* Effect.flip(fs.stat(join(root, "pins", "b.json")))).reason._tag,
          "NotFound",
        )
        assert.strictEqual(
          (yield* Effect.flip(fs.readFile(join(root, "pins", "b.json")))).reason._tag,
          "NotFound",
        )
        yield* fs.remove(join(root, "pins", "a.json"))
        assert.isFalse(yield* fs.exists(join(root, "pins")))
      }).pipe(Effect.provide(files)),
    )

    /** What makes a process one of another machine. */
    const onMachine = Effect.fnUntraced(function* (
      directory: string,
      more: Readonly<Record<string, string>> = {},
    ) {
      const { env } = yield* Service
      return (name: string) => ({ env: { ...env, ...more, XDG_CACHE_HOME: join(directory, name) } })
    })
    const config = { ...tiny, train: { ...tiny.train, maxSteps: 400 } }
    const run = (store: string, ...more: ReadonlyArray<string>) => [
      ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store, ...more],
      ...settings(config).flatMap((setting) => ["--set", setting]),
    ]
    const recordsAt = (name: string) =>
      Effect.gen(function* () {
        const records = yield* (yield* ArtifactStore).records
        return records.map(({ provenance: _, ...record }) => record)
      }).pipe(Effect.provide(Layer.unwrap(Effect.sync(() => storeAt(name)))))
    const byKey = <A extends { readonly key: string }>(records: ReadonlyArray<A>) =>
      records.toSorted((a, b) => a.key.localeCompare(b.key))

    it.effect(
      "a run that is killed on one machine goes on on another from its last checkpoint, to the bits of a run in a directory",
      () =>
        Effect.gen(function* () {
          const directory = yield* temporaryDirectory
          const machine = yield* onMachine(directory)
          const here = yield* cli(run(join(directory, "here")))
          const first = yield* start(run("s3://lab/run"), machine("first"))
          const bucket = yield* openBucket("lab")
          // Its journal, too, which comes every two seconds.
          for (const prefix of ["run/cursors/train/", "run/runs/"])
            while ((yield* bucket.list(prefix)).length === 0) yield* Effect.sleep(20)
          yield* first.kill("SIGKILL")
          yield* first.finished
          const { code, stderr, stdout } = yield* cli(run("s3://lab/run"), machine("second"))
          assert.strictEqual(code, 0, stderr)
          assert.strictEqual(stdout, here.stdout)
          const stored = yield* recordsAt("run")
          assert.deepStrictEqual(byKey(stored), byKey(recordsOf(join(directory, "here"))))
          const again = yield* cli(run("s3://lab/run"), machine("third"))
          assert.strictEqual(again.stdout, here.stdout)

          const runs = yield* Effect.provide(pastRuns, Layer.unwrap(Effect.sync(() => storeAt("run"))))
          const computed = runs.map(({ events }) => events.filter(({ _tag }) => _tag === "Computed").length)
          assert.lengthOf(runs, 3)
          assert.strictEqual(computed[1] > 0, true)
          assert.strictEqual(computed[2], 0)
          const said = (yield* keysBelow("run")).filter((key) => key.startsWith("runs/"))
          for (const key of said) {
            const text = new TextDecoder().decode(yield* bucket.get(`run/${key}`))
            assert.notInclude(text, SECRET_KEY)
          }
          const isBlob = (file: string) => file.includes("/objects/")
          for (const name of ["first", "second"]) {
            const kept = filesBelow(join(directory, name, "grokscope", "s3")).filter(
              (file) => !/\.ndjson$|\.tmp$/.test(file),
            )
            assert.isTrue(kept.length > 0 && kept.every(isBlob), kept.join(" "))
          }
        }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
      TIMEOUT,
    )

    it.effect.skipIf(binaries === undefined)(
      "workers of a cluster on machines that share nothing else compute what one machine does",
      () =>
        Effect.gen(function* () {
          const directory = yield* temporaryDirectory
          const postgres = yield* startPostgres(binaries ?? "")
          const machine = yield* onMachine(directory, {
            PGPASSWORD: postgres.password,
            GROKSCOPE_CLUSTER: postgres.address,
          })
          const here = yield* cli(run(join(directory, "here")))
          for (const name of ["first", "second"])
            yield* start(["worker", "--store", "s3://lab/cluster", "--workers", "1"], machine(name))
          const asked = yield* cli(run("s3://lab/cluster", "--executor", "cluster"), machine("third"))
          assert.strictEqual(asked.code, 0, asked.stderr)
          assert.strictEqual(asked.stdout, here.stdout)
          const stored = yield* recordsAt("cluster")
          assert.deepStrictEqual(byKey(stored), byKey(recordsOf(join(directory, "here"))))
          assert.lengthOf(stored, labels.length)
        }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
      TIMEOUT,
    )
  })
})
