/**
 * A Slurm of one host, from the programs that this machine has: munge, slurmctld and slurmd, which want to be root. As far as Slurm knows,
 * the host has a GPU.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule } from "effect"
import { ended, freePort } from "./servers.ts"

const PROGRAMS = ["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged", "/usr/bin/setpriv"]
/** Whether a Slurm can be had here; without, suites that need it are left out. */
export const hasSlurm = process.getuid?.() === 0 && PROGRAMS.every((program) => existsSync(program))

const id = (flag: string) => Number(execFileSync("id", [flag, "munge"], { encoding: "utf8" }))

const configuration = (directory: string, host: string, [controller, daemon]: ReadonlyArray<number>) =>
  `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${directory}/munge/socket
StateSaveLocation=${directory}/state
SlurmdSpoolDir=${directory}/spool
SlurmctldPidFile=${directory}/slurmctld.pid
SlurmdPidFile=${directory}/slurmd.pid
SlurmctldPort=${controller}
SlurmdPort=${daemon}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
KillWait=2
GresTypes=gpu
NodeName=${host} Gres=gpu:1 NodeAddr=127.0.0.1 CPUs=${availableParallelism()} State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`

/** Runs until the scope closes; returns the environment in which Slurm's programs find it. */
export const startSlurm = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "grokscope-test-slurm-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true })),
  )
  chmodSync(directory, 0o755)
  for (const name of ["munge", "state", "spool"]) mkdirSync(join(directory, name))
  const [uid, gid] = [id("-u"), id("-g")]
  const munge = join(directory, "munge")
  const key = join(munge, "key")
  writeFileSync(key, randomBytes(1024), { mode: 0o600 })
  for (const path of [munge, key]) chownSync(path, uid, gid)
  const file = join(directory, "slurm.conf")
  const ports = [yield* freePort, yield* freePort]
  writeFileSync(file, configuration(directory, hostname().split(".")[0], ports))
  writeFileSync(join(directory, "gres.conf"), "Name=gpu File=/dev/null\n")
  const env = { SLURM_CONF: file }

  const run = (program: string, ...args: ReadonlyArray<string>) =>
    Effect.acquireRelease(
      Effect.sync(() => spawn(program, args, { env: { ...process.env, ...env }, stdio: "ignore" })),
      (child: ChildProcess) => Effect.sync(() => child.kill("SIGKILL")),
    )
  const at = (name: string) => join(munge, name)
  yield* run(
    "/usr/bin/setpriv",
    ...["--reuid=munge", "--regid=munge", "--clear-groups", "/usr/sbin/munged", "--foreground"],
    ...[`--key-file=${key}`, `--socket=${at("socket")}`, `--pid-file=${at("pid")}`],
    ...[`--log-file=${at("log")}`, `--seed-file=${at("seed")}`],
  )
  const controller = yield* run("/usr/sbin/slurmctld", "-D")
  yield* run("/usr/sbin/slurmd", "-D")
  yield* Effect.try({
    try: () => {
      const states = execFileSync("sinfo", ["-h", "-o", "%T"], {
        env: { ...process.env, ...env },
        stdio: "pipe",
      })
      if (!states.toString().includes("idle")) throw new Error("the node is not idle yet")
    },
    catch: String,
  }).pipe(Effect.retry(Schedule.spaced("200 millis").pipe(Schedule.upTo({ duration: "30 seconds" }))))
  return {
    env,
    /** Kills the controller. */
    stop: Effect.andThen(
      Effect.sync(() => controller.kill("SIGKILL")),
      ended(controller),
    ),
    /** Starts it again, with what it had written of its state. */
    start: run("/usr/sbin/slurmctld", "-D"),
    slurm: (program: string, ...args: ReadonlyArray<string>) =>
      execFileSync(program, args, { env: { ...process.env, ...env }, encoding: "utf8" }),
  }
})
