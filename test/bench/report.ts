import { styleText } from 'node:util'
import type { Measurement } from './pair.ts'
import { cells, describeCell, type Sample } from './rounds.ts'
import { median, spread } from './statistics.ts'
import type { System } from './system.ts'

/** The medians of one system at one cell, over the turns of all rounds. */
export interface Result extends Measurement {
  readonly system: string
  readonly payload: Sample['payload']
  readonly inFlight: number
  /** Half the distance from the worst round to the best, as a fraction of the median rate. */
  readonly spread: number
  /**
   * Medians of the ratios within each turn, for a busy machine slows down all of a turn; NaN where there is nothing
   * to compare with. Of rates: above 1 is faster than the other.
   */
  readonly ofRaw: number
  readonly ofBestPeer: number
  /** CPU a call of both processes, user and system, all threads: it tells costs apart that the noise of rates hides. */
  readonly cpuUs: number
  /** Of CPU a call: below 1 is cheaper than the other. */
  readonly cpuOfZask: number
  /** Of median latencies: below 1 is faster than the other. */
  readonly latencyOfRaw: number
}

/** Sums the rounds up, cell by cell, systems in the order of `systems`. */
export function summarise(samples: readonly Sample[], systems: readonly System[]): Result[] {
  const peers = new Set(systems.filter(({ isPeer }) => isPeer).map(({ name }) => name))
  return cells.flatMap(({ payload, inFlight }) => {
    const here = samples.filter((sample) => sample.payload === payload && sample.inFlight === inFlight)
    return systems.flatMap(({ name }) => {
      const own = here.filter(({ system }) => system === name)
      if (own.length === 0) return []

      const middle = (metric: keyof Measurement): number => median(own.map((sample) => sample[metric]))
      /** To the best of those that `isOther` accepts, best being the highest. */
      const ratio = (metric: (sample: Sample) => number, isOther: (sample: Sample) => boolean): number => {
        return median(
          own.flatMap((sample) => {
            const others = here.filter(
              (other) => other.round === sample.round && other.turn === sample.turn && isOther(other),
            )
            return others.length === 0 ? [] : metric(sample) / Math.max(...others.map(metric))
          }),
        )
      }
      return {
        system: name,
        payload,
        inFlight,
        callsPerSecond: rateOf(own),
        p50Us: middle('p50Us'),
        p99Us: middle('p99Us'),
        clientCpu: middle('clientCpu'),
        serverCpu: middle('serverCpu'),
        spread: spread([...Map.groupBy(own, ({ round }) => round).values()].map(rateOf)),
        ofRaw: ratio(rate, ({ system }) => system === 'raw-zeromq'),
        ofBestPeer: ratio(rate, ({ system }) => peers.has(system)),
        cpuUs: median(own.map(cpuUs)),
        cpuOfZask: ratio(cpuUs, ({ system }) => system === 'zask'),
        latencyOfRaw: ratio(latency, ({ system }) => system === 'raw-zeromq'),
      }
    })
  })
}

const rate = ({ callsPerSecond }: Measurement): number => callsPerSecond
const latency = ({ p50Us }: Measurement): number => p50Us
const rateOf = (samples: readonly Sample[]): number => median(samples.map(rate))

function cpuUs({ clientCpu, serverCpu, callsPerSecond }: Measurement): number {
  return ((clientCpu + serverCpu) * 10_000) / callsPerSecond
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
  'CPU µs/call',
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
    number(result.cpuUs, 1),
    Number.isNaN(result.ofRaw) ? '-' : number(result.ofRaw, 2),
    Number.isNaN(result.ofBestPeer) ? '-' : number(result.ofBestPeer, 2),
  ]
}

/** What zask promises is stated in these terms; the reader compares, the benchmark does not judge. */
function renderSummary(results: readonly Result[]): string {
  const lines: string[] = []
  for (const result of results.filter(({ system }) => system === 'zask')) {
    const plugins = results.find(
      (one) =>
        one.system === 'zask-plugins' && one.payload === result.payload && one.inFlight === result.inFlight,
    )
    const change = plugins === undefined ? Number.NaN : (plugins.cpuOfZask - 1) * 100
    const said = [
      ...sayUnlessNaN(result.ofRaw, 2, '× raw-zeromq'),
      ...(result.inFlight === 1 ? sayUnlessNaN(result.latencyOfRaw, 2, '× its median latency') : []),
      ...sayUnlessNaN(result.ofBestPeer, 2, '× the best peer'),
      ...sayUnlessNaN(change, 1, '% more CPU with three no-op plugins'),
    ]
    if (said.length > 0) lines.push(`  ${describeCell(result)}: ${said.join(', ')}`)
  }
  return lines.length === 0 ? '' : [styleText('bold', 'zask in short'), ...lines].join('\n')
}

function sayUnlessNaN(value: number, decimals: number, text: string): string[] {
  return Number.isNaN(value) ? [] : [`${number(value, decimals)} ${text}`]
}

function number(value: number, decimals: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals))
}
