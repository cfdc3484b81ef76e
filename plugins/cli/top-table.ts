import { table } from '../command/table.ts'
import { escapeControls } from '../command/terminal.ts'
import type { Sample } from './watched-service.ts'

/** What a table is drawn for; Infinity where nothing limits it. */
export interface Space {
  readonly columns: number
  readonly rows: number
}

interface Column {
  readonly head: string
  /** Where there is not enough room for all, the highest go first. */
  readonly rank: number
  readonly isText?: true
  readonly cell: (sample: Sample) => string
}

const columns: readonly Column[] = [
  { head: 'service', rank: 0, isText: true, cell: ({ service }) => service ?? '?' },
  { head: 'version', rank: 8, isText: true, cell: ({ version }) => version ?? '' },
  { head: 'endpoint', rank: 4, isText: true, cell: ({ endpoint }) => endpoint },
  { head: 'state', rank: 1, isText: true, cell: ({ state }) => state },
  { head: 'calls/s', rank: 2, cell: ({ callsPerSecond }) => decimal(callsPerSecond) },
  { head: 'p50 ms', rank: 7, cell: ({ p50Ms }) => decimal(p50Ms) },
  { head: 'p99 ms', rank: 3, cell: ({ p99Ms }) => decimal(p99Ms) },
  { head: 'errors/s', rank: 5, cell: ({ failedPerSecond }) => decimal(failedPerSecond) },
  { head: 'in flight', rank: 6, cell: inFlight },
  { head: 'streams', rank: 10, cell: ({ streams }) => String(streams ?? '') },
  { head: 'sessions', rank: 11, cell: ({ sessions }) => String(sessions ?? '') },
  { head: 'lag ms', rank: 9, cell: ({ lagMs }) => decimal(lagMs) },
  { head: 'ping ms', rank: 12, cell: ({ pingMs }) => decimal(pingMs) },
]
const reason: Column = { head: '', rank: 13, isText: true, cell: ({ problem }) => problem ?? '' }

/** The table of `zask top`, a line for each service: in a narrow window columns are left out, in a low one services. */
export async function topTable(
  samples: readonly Sample[],
  space: Space,
  style: (line: string, sample: Sample | undefined) => string = (line) => line,
): Promise<string[]> {
  // One line is the head, and one says how many are left out.
  const shown = samples.length + 1 > space.rows ? samples.slice(0, Math.max(0, space.rows - 2)) : samples
  const cut = (line: string): string =>
    line.length > space.columns ? `${line.slice(0, space.columns - 1)}…` : line
  const lines = (await fitting(shown, space.columns)).map((line, index) => style(cut(line), shown[index - 1]))
  const left = samples.length - shown.length
  return left === 0 ? lines : [...lines, cut(`and ${left} more: make the window higher, or name fewer`)]
}

async function fitting(samples: readonly Sample[], width: number): Promise<string[]> {
  for (let most = columns.length; ; most--) {
    const kept = columns.filter(({ rank }) => rank < most)
    const lines = await linesOf(samples, kept)
    if (most > 1 && lines.some((line) => line.length > width)) continue
    // The reason is the last, and is cut where others would have to make room for it.
    return samples.some(({ problem }) => problem !== null) ? linesOf(samples, [...kept, reason]) : lines
  }
}

async function linesOf(samples: readonly Sample[], kept: readonly Column[]): Promise<string[]> {
  const right = kept.flatMap(({ isText }, index) => (isText === true ? [] : [index]))
  const rows = samples.map((sample) => kept.map(({ cell }) => oneLine(cell(sample))))
  return (await table(rows, { head: kept.map(({ head }) => head), right })).trimEnd().split('\n')
}

function inFlight({ running, queued }: Sample): string {
  if (running === null) return ''
  return queued ? `${running}+${queued}` : String(running)
}

/** Two or three digits that matter: nobody reads more of a number that changes each second. */
function decimal(value: number | null): string {
  if (value === null) return ''
  if (value === 0 || value >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(value < 0.1 ? 3 : value < 1 ? 2 : 1)
}

/** Names and messages come from the peer, which may say anything at any length; a cell is one line. */
function oneLine(text: string): string {
  const plain = escapeControls(text).replace(/\s+/g, ' ').trim()
  return plain.length > 80 ? `${plain.slice(0, 79)}…` : plain
}
