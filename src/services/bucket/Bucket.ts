/**
 * A bucket of an S3-compatible service: under each key there are bytes, wholly or not at all. Every part that is sent carries its SHA-256, which the
 * service checks; what was created once is not created again (conditional put); what fails for a moment is tried again for minutes.
 *
 * Endpoint, region and credentials are those of the AWS tools: AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY, or the files that AWS_PROFILE names, or the machine's role.
 */
import type { StandardRetryStrategy } from "@smithy/core/retry"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"

export interface Entry {
  readonly bytes: number
  /** By the clock of the service, in whole seconds. */
  readonly changedAt: Date
}

export interface Bucket {
  /** Fails with `NotFound` where there is nothing. */
  readonly get: (key: string) => Effect.Effect<Uint8Array, PlatformError.PlatformError>
  /** Replaces what is there. */
  readonly put: (key: string, bytes: Uint8Array) => Effect.Effect<void, PlatformError.PlatformError>
  /** Leaves what is there; returns whether there was nothing. */
  readonly create: (key: string, bytes: Uint8Array) => Effect.Effect<boolean, PlatformError.PlatformError>
  readonly find: (key: string) => Effect.Effect<Option.Option<Entry>, PlatformError.PlatformError>
  /** What comes directly below `prefix`, which is empty or ends in `/`: names of keys, and of what has keys below it. */
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<string>, PlatformError.PlatformError>
  /** All keys below `prefix`, without it. */
  readonly listAll: (prefix: string) => Effect.Effect<ReadonlyArray<string>, PlatformError.PlatformError>
  readonly isEmpty: (prefix: string) => Effect.Effect<boolean, PlatformError.PlatformError>
  /** Makes what is there as young as if it were put now; fails with `NotFound` where there is nothing. */
  readonly touch: (key: string) => Effect.Effect<void, PlatformError.PlatformError>
  /** Does nothing where there is nothing. */
  readonly remove: (key: string) => Effect.Effect<void, PlatformError.PlatformError>
}

/** Bytes; what is larger is sent in parts of this size. */
const PART = 16 * 2 ** 20
/** With pauses of up to 20 s, half of that on average, between them: about two minutes. */
const ATTEMPTS = 20
const CONNECTING = 5_000
/** Milliseconds in which nothing was sent or received. */
const SILENCE = 60_000

/** The status of the service's answer; none where there was no answer. */
const statusOf = (error: unknown): number | undefined => {
  const metadata = Predicate.hasProperty(error, "$metadata") ? error.$metadata : undefined
  const status = Predicate.hasProperty(metadata, "httpStatusCode") ? metadata.httpStatusCode : undefined
  return Predicate.isNumber(status) ? status : undefined
}

/** What the service answered, as an error of a file system; in one line that does not hold the request. */
const failure = (method: string, address: string, error: unknown): PlatformError.PlatformError => {
  const { name = "Error", message = "" } = error instanceof Error ? error : {}
  const status = statusOf(error)
  const said = message === "" || message === "UnknownError" ? "" : `: ${message.split("\n", 1)[0]}`
  // There always is a list, of a bucket that is there, of a service that is one.
  const isMissing = status === 404 && method !== "list" && name !== "NoSuchBucket"
  // A request for no more than the size is answered without a reason.
  const reason = name === "Unknown" && status === 403 ? "AccessDenied" : name
  return PlatformError.systemError({
    _tag: isMissing ? "NotFound" : status === 412 ? "AlreadyExists" : "Unknown",
    module: "Bucket",
    method,
    pathOrDescriptor: address,
    cause: new Error(`${reason}${said}`),
  })
}

export const openBucket = Effect.fn("openBucket")(function* (bucket: string) {
  const { S3 } = yield* Effect.promise(() => import("@aws-sdk/client-s3"))
  const { Upload } = yield* Effect.promise(() => import("@aws-sdk/lib-storage"))
  const named = (name: string) => Config.option(Config.NonEmptyString(name))
  const endpoint = Option.firstSomeOf([yield* named("AWS_ENDPOINT_URL_S3"), yield* named("AWS_ENDPOINT_URL")])
  const region = yield* named("AWS_REGION")
  const retry = yield* Effect.promise(() => import("@smithy/core/retry"))
  const patience = () => new retry.StandardRetryStrategy(ATTEMPTS)
  const output = yield* Console.Console
  /** Whether no request has ended yet, nor was it said that the service does not answer: its address may be wrong. */
  let isNew = true
  const tell = (error: unknown) => {
    if (!isNew || statusOf(error) !== undefined) return
    isNew = false
    const where = Option.match(endpoint, { onNone: () => "", onSome: (url) => ` at ${url}` })
    const because = error instanceof Error ? ` (${error.message.split("\n", 1)[0]})` : ""
    output.error(`s3://${bucket}${where} does not answer${because}; trying again for two minutes`)
  }
  /** As a client has one patience for all of its requests, many that fail at the same time would end it: here each has its own. */
  const retryStrategy = Object.assign(patience(), {
    refreshRetryTokenForRetry: (...of: Parameters<StandardRetryStrategy["refreshRetryTokenForRetry"]>) => {
      tell(of[1].error)
      return patience().refreshRetryTokenForRetry(...of)
    },
  })
  const client = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new S3({
          retryStrategy,
          requestHandler: { connectionTimeout: CONNECTING, socketTimeout: SILENCE },
          // Services other than Amazon's have one host for all buckets, and care for no region.
          ...(Option.isSome(endpoint) ? { endpoint: endpoint.value, forcePathStyle: true } : {}),
          ...(Option.isSome(endpoint) && Option.isNone(region) ? { region: "us-east-1" } : {}),
        }),
    ),
    (client) => Effect.sync(() => client.destroy()),
  )
  const ask = <A>(method: string, key: string, request: (signal: AbortSignal) => Promise<A>) =>
    Effect.tryPromise({
      try: request,
      catch: (error) => failure(method, `s3://${bucket}/${key}`, error),
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          isNew = false
        }),
      ),
    )
  const isMissing = ({ reason }: PlatformError.PlatformError) => reason._tag === "NotFound"

  const find: Bucket["find"] = (key) =>
    ask("find", key, (abortSignal) => client.headObject({ Bucket: bucket, Key: key }, { abortSignal })).pipe(
      Effect.map(({ ContentLength = 0, LastModified = new Date(0) }) =>
        Option.some({ bytes: ContentLength, changedAt: LastModified }),
      ),
      Effect.catchIf(isMissing, () => Effect.succeed(Option.none<Entry>())),
    )

  const send = (
    method: string,
    key: string,
    bytes: Uint8Array,
    condition: { readonly IfNoneMatch?: "*" },
  ) => {
    const params = {
      Bucket: bucket,
      Key: key,
      Body: bytes,
      ChecksumAlgorithm: "SHA256" as const,
      ...condition,
    }
    return ask(method, key, async (abortSignal) => {
      if (bytes.length <= PART) return await client.putObject(params, { abortSignal })
      const upload = new Upload({ client, params, partSize: PART })
      abortSignal.addEventListener("abort", () => upload.abort())
      return await upload.done()
    })
  }

  const list = Effect.fnUntraced(function* (prefix: string, by: { readonly Delimiter?: string }) {
    const names: Array<string> = []
    let token: string | undefined
    do {
      const page = yield* ask("list", prefix, (abortSignal) =>
        client.listObjectsV2(
          { Bucket: bucket, Prefix: prefix, ...by, ContinuationToken: token },
          { abortSignal },
        ),
      )
      for (const { Key = "" } of page.Contents ?? []) names.push(Key.slice(prefix.length))
      for (const { Prefix = "" } of page.CommonPrefixes ?? []) names.push(Prefix.slice(prefix.length, -1))
      token = page.NextContinuationToken
    } while (token !== undefined)
    return names
  })

  const opened: Bucket = {
    get: (key) =>
      ask("get", key, async (abortSignal) => {
        const { Body } = await client.getObject({ Bucket: bucket, Key: key }, { abortSignal })
        return Body === undefined ? new Uint8Array() : await Body.transformToByteArray()
      }),
    put: (key, bytes) => send("put", key, bytes, {}),
    create: Effect.fnUntraced(function* (key, bytes) {
      // Parts are refused only after all of them were sent.
      if (bytes.length > PART && Option.isSome(yield* find(key))) return false
      return yield* send("create", key, bytes, { IfNoneMatch: "*" }).pipe(
        Effect.as(true),
        Effect.catchIf(
          ({ reason }) => reason._tag === "AlreadyExists",
          () => Effect.succeed(false),
        ),
      )
    }),
    find,
    list: (prefix) => list(prefix, { Delimiter: "/" }),
    listAll: (prefix) => list(prefix, {}),
    isEmpty: (prefix) =>
      Effect.map(
        ask("list", prefix, (abortSignal) =>
          client.listObjectsV2({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }, { abortSignal }),
        ),
        ({ Contents = [] }) => Contents.length === 0,
      ),
    touch: (key) =>
      ask("touch", key, (abortSignal) =>
        client.copyObject(
          { Bucket: bucket, Key: key, CopySource: `${bucket}/${key}`, MetadataDirective: "REPLACE" },
          { abortSignal },
        ),
      ),
    remove: (key) =>
      ask("remove", key, (abortSignal) => client.deleteObject({ Bucket: bucket, Key: key }, { abortSignal })),
  }
  return opened
})
