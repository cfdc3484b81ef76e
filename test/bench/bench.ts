import { mkdtempSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { installPeers } from './install.ts'
import { renderMemorySample, renderMemoryVerdict, runMemory, type MemorySample } from './memory.ts'
import type { BenchOptions } from './options.ts'
import { Pair } from './pair.ts'
import { renderProfiles } from './profile.ts'
import { renderReport, summarise, toJson } from './report.ts'
import { runRounds } from './rounds.ts'
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
  const failures = new Map<string, string>()
  const fail = (system: string, reason: unknown): void => {
    const text = reason instanceof Error ? reason.message : String(reason)
    failures.set(system, text)
    say(`${system} is left out: ${text}`)
  }
  const profileFolder = options.profile ? mkdtempSync(join(tmpdir(), 'zask-bench-')) : undefined
  const pairs: Pair[] = []
  try {
    let systems = await installed(options.systems, signal, say, fail)
    for (const system of systems) {
      if (signal.aborted) return 1
      try {
        const pair = await Pair.start(system, {
          signal,
          ...(profileFolder === undefined ? {} : { profileFolder }),
        })
        pairs.push(pair)
        say(
          `${system.name} is running (server process ${pair.pids.server}, client process ${pair.pids.client})`,
        )
      } catch (error) {
        if (!signal.aborted) fail(system.name, error)
      }
    }
    if (options.memory) {
      await printMemory(pairs, options, signal, output, fail)
    } else {
      const samples = await runRounds(pairs, { ...options, signal, say, fail })
      if (signal.aborted) return 1
      systems = systems.filter(({ name }) => !failures.has(name))
      const results = summarise(samples, systems)
      if (options.json) print(toJson(results))
      else if (systems.length > 0) print(`${machine()}\n\n${renderReport(results, systems)}`)
    }
    if (profileFolder !== undefined && !signal.aborted) {
      await Promise.all(pairs.map((pair) => pair.stop()))
      const profiles = renderProfiles(profileFolder)
      if (options.json) say(profiles)
      else print(`\n${profiles}`)
    }
  } finally {
    await Promise.all(pairs.map((pair) => pair.kill()))
  }
  for (const [system, reason] of failures) say(`left out: ${system}: ${reason}`)
  return failures.size === 0 ? 0 : 1
}

/** The systems that can be run: all, or all but the peers where those could not be installed. */
async function installed(
  systems: readonly System[],
  signal: AbortSignal,
  say: Output['say'],
  fail: (system: string, reason: unknown) => void,
): Promise<readonly System[]> {
  if (!systems.some(({ isPeer }) => isPeer)) return systems
  try {
    await installPeers(signal, say)
    return systems
  } catch (error) {
    for (const { name, isPeer } of systems) if (isPeer && !signal.aborted) fail(name, error)
    return systems.filter(({ isPeer }) => !isPeer)
  }
}

async function printMemory(
  pairs: readonly Pair[],
  { calls, json }: BenchOptions,
  signal: AbortSignal,
  { print, say }: Output,
  fail: (system: string, reason: unknown) => void,
): Promise<void> {
  const all: MemorySample[] = []
  const tell = json ? say : (line: string): void => print(`${line}\n`)
  for (const pair of pairs) {
    if (signal.aborted) return
    try {
      const samples = await runMemory(pair, calls, (sample) => tell(renderMemorySample(sample)))
      all.push(...samples)
      tell(renderMemoryVerdict(samples))
    } catch (error) {
      if (!signal.aborted) fail(pair.system.name, error)
    }
  }
  if (json && !signal.aborted) print(`${JSON.stringify(all, null, 2)}\n`)
}

function machine(): string {
  const [load] = loadavg()
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  return `Node.js ${process.version}, ${availableParallelism()} × ${processor}, load average ${load!.toFixed(2)}`
}
