import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Listing } from "../../src/commands/list.ts"
import { SingleResult } from "../../src/commands/results.ts"
import { Status } from "../../src/commands/status.ts"
import { kinds, measuredPlacements } from "../../src/pipelines/single.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli, lines } from "./process.ts"

/** A directory of its own for everything that a process might write to without being asked. */
const sandbox = Effect.map(temporaryDirectory, (root) => {
  const at = (name: string) => join(root, name)
  for (const name of ["cwd", "home", "tmp", "store"]) mkdirSync(at(name))
  writeFileSync(at("file"), "not a directory")
  return {
    cwd: at("cwd"),
    env: { HOME: at("home"), TMPDIR: at("tmp") },
    files: () => readdirSync(root, { recursive: true }).toSorted(),
    /** Arguments, with names of the sandbox put in. */
    place: (argument: string) => argument.replace("SANDBOX", root),
  }
})

/** What a run says that finds everything: more stages than are listed one by one. */
const ALL_CACHED = new RegExp(
  `^done 0, cached ${labels.length}, running 0, waiting 0 of ${labels.length} [^\\n]*\\n$`,
)

/** Of a test that runs the command many times. */
const TIMEOUT = 180_000

const single = ["run", "single", "--scale", "smoke", "--store", "SANDBOX/new"]
const set = (...fields: ReadonlyArray<string>) => fields.flatMap((field) => ["--set", field])

const refusals: ReadonlyArray<
  readonly [what: string, args: ReadonlyArray<string>, says: ReadonlyArray<string>]
> = [
  ["an unknown subcommand", ["rnu", "single"], ["rnu", "run"]],
  ["an unknown pipeline", ["run", "singel", "--store", "SANDBOX/new"], ["singel", "did you mean single?"]],
  ["no pipeline", ["run"], ["pipeline"]],
  [
    "to rerun a stage that is not there",
    ["verify", "--rerun", "tain", "--store", "SANDBOX"],
    ["tain", "mean train"],
  ],
  [
    "Slurm on a store in a bucket",
    ["run", "single", "--scale", "smoke", "--executor", "slurm", "--store", "s3://lab/grok"],
    ["s3://lab/grok", "a directory that all nodes share"],
  ],
  ["to verify a store that is not there", ["verify", "--store", "SANDBOX/new"], ["--store", "new"]],
  ["the whole paper by `run`", ["run", "reproduce-all"], ["pnpm pipeline reproduce-all"]],
  ["no seeds", ["reproduce-all", "--seeds", "0"], ["--seeds", "0", "between 1 and 100"]],
  ["workers that are no number", ["reproduce-all", "--workers", "many"], ["--workers", "many"]],
  [
    "a directory for results that is a file",
    ["reproduce-all", "--scale", "smoke", "--store", "SANDBOX/store", "--out", "SANDBOX/file"],
    ["--out", "SANDBOX/file".slice(8)],
  ],
  ["an unknown flag", [...single, "--sett", "seed=1"], ["--sett", "--set"]],
  ["a flag to resume, which does not exist", [...single, "--resume"], ["--resume"]],
  [
    "an unknown field",
    [...single, ...set("train.learnignRate=1")],
    ["train.learnignRate", "did you mean train.learningRate?"],
  ],
  ["a value below its range", [...single, ...set("seed=-1")], ["seed", "-1", "between 0 and 4294967295"]],
  ["text for a number", [...single, ...set("train.learningRate=fast")], ["train.learningRate", '"fast"']],
  ["--set without =", [...single, ...set("seed")], ["--set seed", "field=value"]],
  [
    "a modulus that is not prime for mul",
    [...single, ...set("data.operation=mul", "data.modulus=15")],
    ["data.modulus", "prime", "15"],
  ],
  [
    "heads that do not divide the width",
    [...single, ...set("model.heads=3")],
    ["model.heads", "divisor", "3"],
  ],
  [
    "steps that are no multiple",
    [...single, ...set("train.maxSteps=51")],
    ["train.maxSteps", "multiple", "25", "51"],
  ],
  ["an unknown scale", ["run", "single", "--scale", "huge"], ["--scale", "huge", "paper", "smoke"]],
  ["threads that are no number", [...single, "--threads", "abc"], ["--threads", "abc"]],
  ["no threads", [...single, "--threads", "0"], ["--threads", "0"]],
  ["fewer threads than none", [...single, "--threads", "-1"], ["--threads", "-1"]],
  [
    "a store below a file",
    ["run", "single", "--scale", "smoke", "--store", "SANDBOX/file/store"],
    ["/file/store", "--store"],
  ],
  [
    "to export the twin of an unknown run",
    ["export-twin", "--run", "singel", "--out", "SANDBOX/twin", "--store", "SANDBOX/store"],
    ["--run singel", "did you mean single?"],
  ],
  [
    "to export a twin below a file",
    ["export-twin", "--out", "SANDBOX/file/twin", "--store", "SANDBOX/store"],
    ["--out", "/file/twin"],
  ],
  [
    "to export no steps",
    ["export-twin", "--steps", "0", "--out", "SANDBOX/twin", "--store", "SANDBOX/store"],
    ["--steps"],
  ],
  [
    "to import a file that is not there",
    ["import", "SANDBOX/none.tar", "--store", "SANDBOX/new"],
    ["none.tar", "NotFound"],
  ],
  [
    "to import a file that is no archive",
    ["import", "SANDBOX/file", "--store", "SANDBOX/new"],
    ["file", "is not a whole tar file", "nothing was imported"],
  ],
  ["to export without a file to write", ["export", "train", "--store", "SANDBOX/store"], ["--out"]],
  [
    "to export what is not there",
    ["export", "train", "--out", "SANDBOX/out.tar", "--store", "SANDBOX/new"],
    ["no run, key or stage called train"],
  ],
  ["to show an unknown stage", ["show", "nonsense", "--store", "SANDBOX/store"], ["nonsense", "rolling-svd"]],
  [
    "to show a stage of an empty store",
    ["show", "train", "--store", "SANDBOX/store"],
    ["train", "no results yet"],
  ],
  [
    "to show something from a store that is not there",
    ["show", "train", "--store", "SANDBOX/new"],
    ["train", "no results yet"],
  ],
]

/** The progress lines of a run that computes: it says first how to stop it and go on. */
const afterIntroduction = (stderr: string): ReadonlyArray<string> => {
  const [introduction, ...progress] = lines(stderr)
  assert.include(introduction, "Ctrl-C")
  return progress
}

/** What `status` says of a store. */
const statusOf = Effect.fnUntraced(function* (store: string) {
  const { code, stdout } = yield* cli(["status", "--store", store, "--json"])
  assert.strictEqual(code, 0)
  return Schema.decodeUnknownSync(Schema.fromJsonString(Status))(stdout)
})

describe("the command refuses", () => {
  it.live.each(refusals)("%s: one line, exit code 2, nothing done", ([, args, says]) =>
    Effect.gen(function* () {
      const { cwd, env, files, place } = yield* sandbox
      const before = files()
      const { code, stdout, stderr } = yield* cli(args.map(place), { cwd, env })
      assert.match(stderr, /^error: [^\n]+\n$/)
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      for (const part of says) assert.include(stderr, part)
      assert.deepStrictEqual(files(), before)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.live("to work with too few open files: one line, exit code 2, nothing done", () =>
    Effect.gen(function* () {
      const { cwd, env, files, place } = yield* sandbox
      const before = files()
      const { code, stderr } = yield* cli(single.map(place), { cwd, env, limit: "-n 63" })
      assert.match(stderr, /^error: only 63 files .*ulimit -n 64[^\n]+\n$/)
      assert.strictEqual(code, 2)
      assert.deepStrictEqual(files(), before)
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})

describe("list", () => {
  it.live(
    "names the pipelines, every stage of a small one with what it comes after, and counts a large one's",
    () =>
      Effect.gen(function* () {
        const { code, stdout, stderr } = yield* cli(["list"])
        assert.strictEqual(code, 0)
        assert.strictEqual(stderr, "")
        for (const name of ["single", "reproduce-all"])
          assert.match(stdout, new RegExp(`^  ${name} +\\w`, "m"))
        for (const label of labels) assert.match(stdout, new RegExp(`^  ${label}( +after .+)?$`, "m"))
        assert.match(stdout, /^Stages of reproduce-all: \d{3,4}$/m)
        for (const stage of ["intervene", "measure-per-example"]) {
          assert.match(stdout, new RegExp(`^  ${stage} +\\d+$`, "m"))
        }
      }),
  )

  it.live("--json says the same as data, node by node", () =>
    Effect.gen(function* () {
      const { code, stdout, stderr } = yield* cli(["list", "--json"])
      assert.strictEqual(code, 0)
      assert.strictEqual(stderr, "")
      const [single, all] = Schema.decodeUnknownSync(Schema.fromJsonString(Listing))(stdout).pipelines
      assert.deepStrictEqual([single.name, all.name], ["single", "reproduce-all"])
      assert.deepStrictEqual(
        single.nodes.map(({ node }) => node),
        labels,
      )
      for (const { nodes } of [single, all]) {
        const names = new Set(nodes.map(({ node }) => node))
        for (const { after } of nodes) for (const name of after) assert.isTrue(names.has(name), name)
      }
    }),
  )
})

describe("run", () => {
  it.live(
    "computes once: results on standard output, progress on standard error, the same the second time",
    () =>
      Effect.gen(function* () {
        const store = join(yield* temporaryDirectory, "store")
        const args = [
          "run",
          "single",
          "--scale",
          "smoke",
          "--threads",
          "1",
          "--store",
          store,
          ...set(...settings(tiny)),
        ]

        const first = yield* cli(args)
        assert.strictEqual(first.code, 0)
        assert.sameMembers(
          afterIntroduction(first.stderr)
            // A slow machine shows how far stages are, too.
            .filter((line) => line.includes(" done in "))
            .map((line) => line.replace(/ +done in \d+ s$/, "")),
          [...labels],
        )
        assert.include(first.stdout, "single: add mod 7, seed 42 (smoke: not evidence)")
        for (const rows of kinds) {
          for (const window of measuredPlacements) {
            assert.match(first.stdout, new RegExp(`^  ${rows} +${window} +[\\d.]+ `, "m"))
          }
        }
        assert.notMatch(first.stdout, /done in|cached/)

        const second = yield* cli(args)
        assert.strictEqual(second.code, 0)
        assert.strictEqual(second.stdout, first.stdout)
        assert.match(second.stderr, ALL_CACHED)

        const json = yield* cli([...args, "--json"])
        assert.strictEqual(json.code, 0)
        assert.match(json.stderr, ALL_CACHED)
        const result = Schema.decodeUnknownSync(Schema.fromJsonString(SingleResult))(json.stdout)
        assert.strictEqual(result.evidence, "smoke: not evidence")
        assert.strictEqual(result.pipeline, "single")
        assert.deepStrictEqual(result.config, tiny)
        assert.strictEqual(result.run.checkpoints, 11)
        assert.deepStrictEqual(
          result.coupling.map(({ rows, window }) => `${rows} ${window}`),
          kinds.flatMap((rows) => measuredPlacements.map((window) => `${rows} ${window}`)),
        )

        const shown = yield* cli(["show", "train", "--store", store, "--json"])
        assert.strictEqual(shown.code, 0)
        const [{ output, key }] = JSON.parse(shown.stdout)
        assert.deepStrictEqual(output, result.run)
        for (const prefix of [
          key.slice(0, 8),
          result.run.trajectory.digest.slice(0, 8),
          result.run.curve.digest,
        ]) {
          const { code, stdout } = yield* cli(["show", prefix, "--store", store])
          assert.strictEqual(code, 0)
          assert.include(stdout, prefix)
        }

        const verified = yield* cli(["verify", "--store", store])
        assert.strictEqual(verified.code, 0)
        assert.match(verified.stdout, /^\d+ artifacts .+: all are what they should be\n$/)

        const again = yield* cli(["verify", "--rerun", "train", "--store", store])
        assert.strictEqual(again.code, 0, again.stderr)
        assert.strictEqual(again.stdout, `train ${key.slice(0, 12)}  bitwise\n`)

        const { working, runs } = yield* statusOf(store)
        assert.deepStrictEqual(working, [])
        assert.deepStrictEqual(
          runs.map(({ outcome, computed, found }) => ({ outcome, computed, found })),
          [
            { outcome: "done", computed: 0, found: labels.length },
            { outcome: "done", computed: 0, found: labels.length },
            { outcome: "done", computed: labels.length, found: 0 },
          ],
        )
        assert.include(runs[0].command, "run single --scale smoke --set seed=42")
      }).pipe(Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )

  it.live("of a training that diverges fails with one line that says what to change", () =>
    Effect.gen(function* () {
      const store = join(yield* temporaryDirectory, "store")
      const config = { ...tiny, train: { ...tiny.train, learningRate: 1e30 } }
      const args = [
        "run",
        "single",
        "--scale",
        "smoke",
        "--threads",
        "1",
        "--store",
        store,
        ...set(...settings(config)),
      ]
      const { code, stdout, stderr } = yield* cli(args)
      assert.strictEqual(code, 1)
      assert.strictEqual(stdout, "")
      const [message, ...others] = lines(stderr).filter((line) => line.startsWith("error: "))
      assert.include(message, "train.learningRate")
      assert.deepStrictEqual(others, [])
      const [told] = lines(stderr).filter((line) => line.startsWith("train failed: "))
      const [, log = ""] = /\(log: (.+)\)$/.exec(told) ?? []
      assert.include(readFileSync(log, "utf8"), '"_tag":"Failed"')

      const [run] = (yield* statusOf(store)).runs
      assert.strictEqual(run.outcome, "failed")
      assert.strictEqual(run.computed, 1)
      assert.lengthOf(run.failed, 1)
      assert.strictEqual(run.failed[0].label, "train")
      assert.include(run.failed[0].because, "train.learningRate")
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})
