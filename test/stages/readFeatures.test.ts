import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { probeCentroids } from "../../src/model/programs.ts"
import { harmonicFit } from "../../src/numerics/fourier.ts"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import type { ProbeConfig } from "../../src/stages/contracts.ts"
import type { Examples } from "../../src/stages/pairs.ts"
import { asProbes, drawProbes, tablePairs } from "../../src/stages/probes.ts"
import { readFeatures } from "../../src/stages/readFeatures.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose } from "../model/close.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

const probe: ProbeConfig = { probes: 30, epsilon: 0, centroid: "correct-logit", from: "table", task: 1 }

layer(workbench())("features read from centroids", (it) => {
  const measured = Effect.fn("measured")(function* () {
    const { data, run } = yield* trainTiny(["add", "mul"])
    const input = { data, run, probe, points: 4, fourierPoints: 2, every: 1, seed }
    return { data, run, output: yield* readFeatures.run(input, memoryCursor().cursor) }
  })
  type Run = Effect.Success<ReturnType<typeof measured>>["run"]

  /** SVD of the centred centroids [2d, n] of some probes at a checkpoint, by another library. */
  const centroidSvd = Effect.fn("centroidSvd")(function* (run: Run, checkpoint: number, probes: Examples) {
    const { layout, theta } = yield* openTrajectory(run)
    const engine = yield* TensorEngine
    const n = probes.a.length
    const program = yield* engine.compile(probeCentroids(layout, n))
    const { centroids } = yield* program.run({ theta: yield* theta(checkpoint), ...probes })
    const matrix = Matrix.from1DArray(n, centroids.length / n, Array.from(centroids)).center("column")
    return new SVD(matrix)
  })

  it.effect("list how many components hold 90 % of the variance of the probes' centroids", () =>
    Effect.gen(function* () {
      const { data, run, output } = yield* measured()
      const table = yield* getTable(output.spectrum)
      const column = (name: string) => Array.from(numbers(table, name))
      assert.deepStrictEqual(column("checkpoint"), [0, 4, 8, 12])
      assert.deepStrictEqual(column("step"), [0, 20, 40, 60])
      const probes = yield* drawProbes(data, probe, seed)
      for (const [i, checkpoint] of [0, 4, 8, 12].entries()) {
        const { diagonal } = yield* centroidSvd(run, checkpoint, probes)
        const energies = diagonal.map((sigma) => sigma ** 2)
        const total = energies.reduce((sum, energy) => sum + energy)
        const shares = energies.map((energy) => energy / total)
        const listed = [1, 2, 3, 4, 5].map((k) => column(`share${k}`)[i])
        assertClose(listed, shares.slice(0, 5), 1e-5)
        const cumulative = shares.map((_, k) => shares.slice(0, k + 1).reduce((sum, share) => sum + share))
        assert.strictEqual(column("components90")[i], cumulative.findIndex((share) => share >= 0.9) + 1)
      }
    }),
  )

  it.effect("say which wave explains the scores of each component over all pairs of the table best", () =>
    Effect.gen(function* () {
      const { data, run, output } = yield* measured()
      const table = yield* getTable(output.readOut)
      const families = ["a+b", "a", "b", "a&b", "y"]
      const logarithms = ["dlog(a)+dlog(b)", "dlog(a)", "dlog(b)", "dlog(a)&dlog(b)"]
      const of = (name: string) => Array.from(table.array(name))
      assert.deepStrictEqual(of("family").slice(0, 9), [...families, ...logarithms])
      assert.lengthOf(of("family"), 2 * 5 * 9)
      assert.deepStrictEqual([...new Set(of("checkpoint"))], [0, 12])

      const pairs = yield* tablePairs(data, 1)
      const svd = yield* centroidSvd(run, 12, asProbes(pairs, data, 1))
      const harmonics = yield* getTable(output.harmonics)
      const rows = harmonics.objects()
      assert.isTrue(rows.every((row) => Reflect.get(row, "checkpoint") === 12))
      const angle = (value: (i: number) => number, frequency: number, period: number) =>
        Float64Array.from(pairs.a, (_, i) => (2 * Math.PI * frequency * value(i)) / period)
      for (const pc of [1, 2]) {
        const scores = Float64Array.from(svd.leftSingularVectors.getColumn(pc - 1))
        const expected = {
          "a+b": (w: number) => harmonicFit(scores, [angle((i) => pairs.a[i] + pairs.b[i], w, 7)]),
          y: (w: number) => harmonicFit(scores, [angle((i) => (pairs.a[i] * pairs.b[i]) % 7, w, 7)]),
        }
        for (const [family, fit] of Object.entries(expected)) {
          const own = rows.filter(
            (row) => Reflect.get(row, "pc") === pc && Reflect.get(row, "family") === family,
          )
          const r2 = own.map((row) => Number(Reflect.get(row, "r2")))
          assertClose(r2, [1, 2, 3].map(fit), 1e-4, `R² of ${family} for component ${pc}`)
          const best = table
            .objects()
            .find((row) =>
              Object.entries({ checkpoint: 12, pc, family }).every(
                ([name, value]) => Reflect.get(row, name) === value,
              ),
            )
          assert.strictEqual(Reflect.get(best ?? {}, "bestFrequency"), r2.indexOf(Math.max(...r2)) + 1)
          assert.strictEqual(Reflect.get(best ?? {}, "r2"), Math.max(...r2))
        }
      }
    }),
  )
})
