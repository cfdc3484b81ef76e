import { mkdtempSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fleet } from './fleet.ts'
import { installPeers } from './install.ts'
import { renderMemorySample, renderMemoryVerdict, runMemory, type MemorySample } from './memory.ts'
import type { BenchOptions } from './options.ts'
import { renderProfiles } from './profile.ts'
import { renderReport, summarise, toJson } from './report.ts'
import { runRound, warmUp, type Sample } from './rounds.ts'
import type { System } from './system.ts'

/** Results and all else, apart: a pipe receives results only. */
export interface Output {
  /** Text as it is. */
  readonly print: (text: string) => void
  /** One line of what is going on. */
  readonly say: (line: string) => void
}

/** Answers the exit code: 1 where a system had to be left out. Leaves no process behind, whichever way it ends. */
export async function runBench(options: BenchOptions, signal: AbortSignal, output: Output): Promise<number> {
  const { print, say } = output
  const profileFolder = options.profile ? mkdtempSync(join(tmpdir(), 'zask-bench-')) : undefined
  const fleet = new Fleet({ signal, say, ...(profileFolder === undefined ? {} : { profileFolder }) })
  try {
    const systems = await installed(options.systems, fleet, signal, say)
    if (options.memory) await printMemory(fleet, systems, options, output)
    else await printRounds(fleet, systems, options, output)

    if (profileFolder !== undefined && !signal.aborted) {
      // V8 writes a profile when its process ends by itself.
      await fleet.stop()
      const profiles = renderProfiles(profileFolder)
      if (options.json) say(profiles)
      else print(`\n${profiles}`)
    }
  } finally {
    await fleet.kill()
  }
  for (const [name, reason] of fleet.failures) say(`left out: ${name}: ${reason}`)
  return fleet.failures.size === 0 ? 0 : 1
}

async function printRounds(
  fleet: Fleet,
  systems: readonly System[],
  options: BenchOptions,
  { print, say }: Output,
): Promise<void> {
  const samples: Sample[] = []
  const started = performance.now()
  for (let round = 1; round <= options.rounds; round++) {
    const elapsed = (performance.now() - started) / 1000
    // The first round had the starts in it, so this errs on the side of being in time.
    if (round > 1 && (elapsed * round) / (round - 1) > options.budgetSeconds) {
      say(`out of time after ${round - 1} of ${options.rounds} rounds: this machine is slow or busy`)
      break
    }
    // What the compiler made of the code in one process is luck that lasts as long as the process.
    if (options.renew) await fleet.stop()
    if (options.renew || round === 1) {
      await fleet.start(systems)
      await warmUp(fleet, options.warmUpSeconds, say)
    }
    samples.push(...(await runRound(fleet, { ...options, round, say })))
  }
  if (fleet.isAborted) return
  const measured = systems.filter(({ name }) => !fleet.failures.has(name))
  const results = summarise(samples, measured)
  if (options.json) print(toJson(results))
  else if (measured.length > 0) print(`${machine()}\n\n${renderReport(results, measured)}`)
}

async function printMemory(
  fleet: Fleet,
  systems: readonly System[],
  { calls, json }: BenchOptions,
  { print, say }: Output,
): Promise<void> {
  const all: MemorySample[] = []
  const tell = json ? say : (line: string): void => print(`${line}\n`)
  await fleet.start(systems)
  for (const pair of fleet.pairs) {
    await fleet.attempt(pair, async () => {
      const samples = await runMemory(pair, calls, (sample) => tell(renderMemorySample(sample)))
      all.push(...samples)
      tell(renderMemoryVerdict(samples))
    })
  }
  if (json && !fleet.isAborted) print(`${JSON.stringify(all, null, 2)}\n`)
}

/** The systems that can be run: all, or all but the peers where those could not be installed. */
async function installed(
  systems: readonly System[],
  fleet: Fleet,
  signal: AbortSignal,
  say: Output['say'],
): Promise<readonly System[]> {
  const peers = systems.filter(({ isPeer }) => isPeer)
  if (peers.length === 0) return systems
  try {
    await installPeers(signal, say)
    return systems
  } catch (error) {
    for (const { name } of peers) fleet.leaveOut(name, error)
    return systems.filter(({ isPeer }) => !isPeer)
  }
}

function machine(): string {
  const [load] = loadavg()
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  return `Node.js ${process.version}, ${availableParallelism()} × ${processor}, load average ${load!.toFixed(2)}`
}
