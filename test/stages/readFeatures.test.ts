import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Matrix, SVD, solve } from "ml-matrix"
import type { CentroidOf } from "../../src/model/centroids.ts"
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
  const measured = Effect.fn("measured")(function* (centroid: ProbeConfig["centroid"] = "correct-logit") {
    const { data, run } = yield* trainTiny(["add", "mul"])
    const input = { data, run, probe: { ...probe, centroid }, points: 4, fourierPoints: 2, every: 1, seed }
    return { data, run, output: yield* readFeatures.run(input, memoryCursor().cursor) }
  })
  type Run = Effect.Success<ReturnType<typeof measured>>["run"]

  /** SVD of the centred centroids [2d, n] of some probes at a checkpoint, by another library. */
  const centroidSvd = Effect.fn("centroidSvd")(function* (
    run: Run,
    checkpoint: number,
    probes: Examples,
    of?: CentroidOf,
  ) {
    const { layout, theta } = yield* openTrajectory(run)
    const engine = yield* TensorEngine
    const n = probes.a.length
    const program = yield* engine.compile(probeCentroids(layout, n, of))
    const { centroids } = yield* program.run({ theta: yield* theta(checkpoint), ...probes })
    const matrix = Matrix.from1DArray(n, centroids.length / n, Array.from(centroids)).center("column")
    return new SVD(matrix)
  })

  /** How many components hold 90 % of the variance. */
  const components90 = (diagonal: ReadonlyArray<number>) => {
    const energies = diagonal.map((sigma) => sigma ** 2)
    const total = energies.reduce((sum, energy) => sum + energy)
    const upTo = energies.map((_, k) => energies.slice(0, k + 1).reduce((sum, energy) => sum + energy))
    return upTo.findIndex((energy) => energy >= 0.9 * total) + 1
  }

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
        const listed = [1, 2, 3, 4, 5].map((k) => column(`share${k}`)[i])
        assertClose(
          listed,
          energies.slice(0, 5).map((energy) => energy / total),
          1e-5,
        )
        assert.strictEqual(column("components90")[i], components90(diagonal))
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

  it.effect("say how far all waves of a family together explain each component, at every point", () =>
    Effect.gen(function* () {
      const { data, run, output } = yield* measured()
      const rows = (yield* getTable(output.joint)).objects()
      const families = ["a+b", "a", "b", "a&b", "y"]
      const logarithms = ["dlog(a)+dlog(b)", "dlog(a)", "dlog(b)", "dlog(a)&dlog(b)"]
      assert.lengthOf(rows, 4 * 5 * 9)
      const get = (name: string) => (row: object) => Reflect.get(row, name)
      assert.deepStrictEqual(rows.slice(0, 9).map(get("family")), [...families, ...logarithms])
      assert.deepStrictEqual([...new Set(rows.map(get("checkpoint")))], [0, 4, 8, 12])
      assert.deepStrictEqual([...new Set(rows.map(get("step")))], [0, 20, 40, 60])
      assert.deepStrictEqual([...new Set(rows.map(get("pc")))], [1, 2, 3, 4, 5])

      const pairs = yield* tablePairs(data, 1)
      /** R² on all waves in some residues, by least squares on the whole design matrix. */
      const reference = (scores: ReadonlyArray<number>, variables: ReadonlyArray<Int32Array>) => {
        const design = new Matrix(
          scores.map((_, i) => [
            1,
            ...variables.flatMap((residues) =>
              [1, 2, 3].flatMap((omega) => {
                const angle = (2 * Math.PI * omega * residues[i]) / 7
                return [Math.cos(angle), Math.sin(angle)]
              }),
            ),
          ]),
        )
        const y = Matrix.columnVector([...scores])
        const residual = Matrix.sub(y, design.mmul(solve(design, y, true)))
        return 1 - residual.norm() ** 2 / Matrix.sub(y, y.mean()).norm() ** 2
      }
      const sum = pairs.a.map((a, i) => (a + pairs.b[i]) % 7)
      const variables = { "a+b": [sum], "a&b": [pairs.a, pairs.b], y: [pairs.label] }
      for (const checkpoint of [4, 12]) {
        const svd = yield* centroidSvd(run, checkpoint, asProbes(pairs, data, 1))
        for (const pc of [1, 2]) {
          const scores = svd.leftSingularVectors.getColumn(pc - 1)
          for (const [family, residues] of Object.entries(variables)) {
            const own = rows.find((row) =>
              Object.entries({ checkpoint, pc, family }).every(([name, value]) => get(name)(row) === value),
            )
            assert.closeTo(Number(get("r2")(own ?? {})), reference(scores, residues), 1e-4, family)
          }
        }
      }

      // The headline: the first three components at the last checkpoint.
      for (const family of [...families, ...logarithms]) {
        const last = rows.filter(
          (row) => get("checkpoint")(row) === 12 && get("family")(row) === family && get("pc")(row) <= 3,
        )
        assert.lengthOf(last, 3)
        const average = last.reduce((total, row) => total + get("r2")(row), 0) / 3
        assert.closeTo(output.jointLast[family] ?? Number.NaN, average, 1e-12, family)
      }
      assert.sameMembers(Object.keys(output.jointLast), [...families, ...logarithms])
      assert.isAbove(output.jointLast["a&b"] ?? 0, output.jointLast.a ?? 1)
    }),
  )

  it.effect(
    "compare centroids by the correct logit with those by the sum of logits, whichever are read",
    () =>
      Effect.gen(function* () {
        const { data, run, output } = yield* measured()
        const probes = yield* drawProbes(data, probe, seed)
        const one = yield* centroidSvd(run, 12, probes, { kind: "correct-logit" })
        const other = yield* centroidSvd(run, 12, probes, { kind: "logit-sum", task: 1 })
        const first = one.rightSingularVectors.getColumn(0)
        const cosine = first.reduce((sum, value, i) => sum + value * other.rightSingularVectors.get(i, 0), 0)
        assert.closeTo(output.agreement.cosine ?? Number.NaN, Math.abs(cosine), 1e-4)
        assert.isBelow(Math.abs(cosine), 0.9999)
        assert.deepStrictEqual(output.agreement.components90, {
          correctLogit: components90(one.diagonal),
          logitSum: components90(other.diagonal),
        })
        const { output: bySum } = yield* measured("logit-sum")
        assert.deepStrictEqual(bySum.agreement, output.agreement)
        assert.notDeepEqual(bySum.jointLast, output.jointLast)
      }),
  )
})
