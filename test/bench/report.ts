import { styleText } from 'node:util'
import type { Measurement } from './pair.ts'
import { cells, describeCell, type Sample } from './rounds.ts'
import { median, spread } from './statistics.ts'
import type { System } from './system.ts'

/** The medians of one system at one cell, over the rounds. */
export interface Result extends Measurement {
  readonly system: string
  readonly payload: Sample['payload']
  readonly inFlight: number
  /** Half the distance from the worst round to the best, as a fraction of the median rate. */
  readonly spread: number
  /** Medians of the ratios of rates within each round: above 1 is faster than the other. */
  readonly ofRaw?: number
  readonly ofBestPeer?: number
}

/** Sums the rounds up, cell by cell, systems in the order of `systems`. */
export function summarise(samples: readonly Sample[], systems: readonly System[]): Result[] {
  const peers = new Set(systems.filter(({ isPeer }) => isPeer).map(({ name }) => name))
  return cells.flatMap(({ payload, inFlight }) => {
    const here = samples.filter((sample) => sample.payload === payload && sample.inFlight === inFlight)
    const bestRate = (round: number, matches: (sample: Sample) => boolean): number => {
      const rates = here.filter((sample) => sample.round === round && matches(sample))
      return Math.max(...rates.map(({ callsPerSecond }) => callsPerSecond))
    }
    return systems.flatMap(({ name }) => {
      const own = here.filter(({ system }) => system === name)
      if (own.length === 0) return []
      const ratioTo = (matches: (sample: Sample) => boolean): number | undefined => {
        const ratio = median(own.map((sample) => sample.callsPerSecond / bestRate(sample.round, matches)))
        // Where there is nothing to compare with, the maximum above was minus infinity.
        return ratio > 0 ? ratio : undefined
      }
      const ofRaw = ratioTo(({ system }) => system === 'raw-zeromq')
      const ofBestPeer = ratioTo(({ system }) => peers.has(system))
      const middle = (metric: keyof Measurement): number => median(own.map((sample) => sample[metric]))
      return {
        system: name,
        payload,
        inFlight,
        callsPerSecond: middle('callsPerSecond'),
        p50Us: middle('p50Us'),
        p99Us: middle('p99Us'),
        clientCpu: middle('clientCpu'),
        serverCpu: middle('serverCpu'),
        spread: spread(own.map(({ callsPerSecond }) => callsPerSecond)),
        ...(ofRaw === undefined ? {} : { ofRaw }),
        ...(ofBestPeer === undefined ? {} : { ofBestPeer }),
      }
    })
  })
}

/** The array `--json` prints. Rounded to what the clocks are good for. */
export function toJson(results: readonly Result[]): string {
  const rows = results.map(({ system, payload, inFlight, ...result }) => ({
    system,
    payload,
    inFlight,
    callsPerSecond: Math.round(result.callsPerSecond),
    p50Us: rounded(result.p50Us, 1),
    p99Us: rounded(result.p99Us, 1),
    clientCpu: rounded(result.clientCpu, 1),
    serverCpu: rounded(result.serverCpu, 1),
  }))
  if (rows.length === 0) return '[]\n'
  return `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(',\n')}\n]\n`
}

const columns = [
  'calls/s',
  'spread',
  'p50 µs',
  'p99 µs',
  'client CPU',
  'server CPU',
  '× raw-zeromq',
  '× best peer',
]

/** The tables for people: one block for each cell, and what it comes to for zask. */
export function renderReport(results: readonly Result[], systems: readonly System[]): string {
  const titles = cells.map(describeCell)
  const nameWidth = Math.max(
    ...titles.map((title) => title.length),
    ...systems.map(({ name }) => name.length + 2),
  )
  const line = (name: string, values: readonly string[]): string =>
    name.padEnd(nameWidth) + values.map((value, i) => value.padStart(columns[i]!.length + 2)).join('')

  const blocks = cells.map(({ payload, inFlight }, i) => {
    const rows = systems.map(({ name }) => {
      const isThis = (one: Result): boolean =>
        one.system === name && one.payload === payload && one.inFlight === inFlight
      const result = results.find(isThis)
      return line(`  ${name}`, result === undefined ? columns.map(() => '-') : figures(result))
    })
    return [styleText('bold', line(titles[i]!, columns)), ...rows].join('\n')
  })
  const summary = renderSummary(results)
  return [...blocks, ...(summary === '' ? [] : [summary])].join('\n\n') + '\n'
}

function figures(result: Result): string[] {
  return [
    number(result.callsPerSecond, 0),
    `±${number(result.spread * 100, 0)} %`,
    number(result.p50Us, result.p50Us < 100 ? 1 : 0),
    number(result.p99Us, result.p99Us < 100 ? 1 : 0),
    `${number(result.clientCpu, 0)} %`,
    `${number(result.serverCpu, 0)} %`,
    result.ofRaw === undefined ? '-' : number(result.ofRaw, 2),
    result.ofBestPeer === undefined ? '-' : number(result.ofBestPeer, 2),
  ]
}

/** What zask promises is stated in these terms; the reader compares, the benchmark does not judge. */
function renderSummary(results: readonly Result[]): string {
  const lines: string[] = []
  for (const result of results.filter(({ system }) => system === 'zask')) {
    const other = (system: string): Result | undefined =>
      results.find(
        (one) => one.system === system && one.payload === result.payload && one.inFlight === result.inFlight,
      )
    const said: string[] = []
    const raw = other('raw-zeromq')
    const plugins = other('zask-plugins')
    if (result.ofRaw !== undefined) said.push(`${number(result.ofRaw, 2)} × raw-zeromq`)
    if (raw !== undefined && result.inFlight === 1) {
      said.push(`${number(result.p50Us / raw.p50Us, 2)} × its median latency`)
    }
    if (result.ofBestPeer !== undefined) said.push(`${number(result.ofBestPeer, 2)} × the best peer`)
    if (plugins !== undefined) {
      const cost = 1 - plugins.callsPerSecond / result.callsPerSecond
      said.push(`three no-op plugins cost ${number(cost * 100, 1)} %`)
    }
    if (said.length > 0) lines.push(`  ${describeCell(result)}: ${said.join(', ')}`)
  }
  return lines.length === 0 ? '' : [styleText('bold', 'zask in short'), ...lines].join('\n')
}

function number(value: number, decimals: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals))
}
