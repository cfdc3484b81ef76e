import type { SoakReport, SoakRow } from './soak.ts'

const MiB = 2 ** 20

/** Bytes an hour, and how far off that may be: its standard error. */
export interface Growth {
  readonly perHour: number
  readonly error: number
}

/**
 * How fast live memory grows: the slope by least squares, the first third left out. Garbage is collected before each
 * look and nothing is on its way, so what grows is held.
 */
export function growthOf(rows: readonly SoakRow[], of: (row: SoakRow) => number): Growth {
  const counted = rows.slice(Math.floor(rows.length / 3))
  const [x, y] = [counted.map(({ atSeconds }) => atSeconds / 3600), counted.map(of)]
  const [meanX, meanY] = [mean(x), mean(y)]
  const above = x.reduce((sum, one, index) => sum + (one - meanX) * ((y[index] as number) - meanY), 0)
  const below = x.reduce((sum, one) => sum + (one - meanX) ** 2, 0)
  if (below === 0 || x.length < 3) return { perHour: 0, error: Infinity }
  const slope = above / below
  const left = y.reduce(
    (sum, one, index) => sum + (one - meanY - slope * ((x[index] as number) - meanX)) ** 2,
    0,
  )
  return { perHour: slope, error: Math.sqrt(left / (x.length - 2) / below) }
}

/** By more than 1 MiB an hour, beyond doubt: what a few minutes show may be chance. */
export function grows(rows: readonly SoakRow[], of: (row: SoakRow) => number): boolean {
  const { perHour, error } = growthOf(rows, of)
  return perHour - 2 * error > MiB
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, one) => sum + one, 0) / list.length
}

const mebibytes = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`

export const rowHeader =
  '      at      calls/s  failures   p99      server live   resident   files  channels   callers live'

export function renderRow(row: SoakRow, before: SoakRow | undefined): string {
  const seconds = row.atSeconds - (before?.atSeconds ?? 0)
  const rate = (row.calls - (before?.calls ?? 0)) / seconds
  return [
    `${row.atSeconds.toFixed(0).padStart(6)} s`,
    rate.toFixed(0).padStart(11),
    String(row.failures).padStart(9),
    `${row.p99Ms.toFixed(0)} ms`.padStart(9),
    mebibytes(row.server.liveBytes).padStart(14),
    mebibytes(row.server.rssBytes).padStart(11),
    String(row.server.files).padStart(7),
    String(row.channels).padStart(9),
    mebibytes(row.callersBytes).padStart(14),
  ].join(' ')
}

/** What a soak came to, as a table: what was looked at, before and after, and what it means. */
export function renderReport(report: SoakReport): string {
  const { rows, before, after, callers, churned } = report
  const { perHour, error } = growthOf(rows, ({ server }) => server.liveBytes)
  const growth = `${(perHour / MiB).toFixed(1)} ± ${mebibytes(error)} an hour`
  const highest = Math.max(...rows.map(({ server }) => server.rssBytes))
  const lines: [string, string][] = [
    [
      'calls',
      `${report.calls.toLocaleString('en')}, ${report.failures} failed${report.wrong ? ` (${report.wrong})` : ''}`,
    ],
    [
      'came and went',
      `${churned.clients} clients, ${churned.streams} streams left, ${churned.killed} callers killed`,
    ],
    ['server live', `${mebibytes(before.liveBytes)} before, ${mebibytes(after.liveBytes)} after, ${growth}`],
    ['server resident', `${mebibytes(before.rssBytes)} before, ${mebibytes(highest)} at most`],
    ['server files', `${before.files} before, ${after.files} after`],
    [
      'server keeps alive',
      `${JSON.stringify(before.resources)} before, ${JSON.stringify(after.resources)} after`,
    ],
    ['server now', JSON.stringify(after.now)],
    ['callers live', `${mebibytes(callers.before)} before, ${mebibytes(callers.after)} after`],
    ['callers now', `${callers.channels} channels, ${callers.calling} calls`],
    ['logs', mebibytes(report.logBytes)],
  ]
  return lines.map(([name, value]) => `${name.padEnd(20)}${value}`).join('\n')
}
