import { expect } from 'chai'
import { topTable } from '../../../plugins/cli/top-table.ts'
import type { Sample } from '../../../plugins/cli/watched-service.ts'

const nothing: Sample = {
  service: 'users',
  version: '1.0',
  endpoint: 'tcp://127.0.0.1:4242',
  state: 'up',
  problem: null,
  pingMs: null,
  callsPerSecond: null,
  failedPerSecond: null,
  p50Ms: null,
  p99Ms: null,
  running: null,
  queued: null,
  streams: null,
  sessions: null,
  lagMs: null,
  rssBytes: null,
  uptimeMs: null,
}
const busy: Sample = {
  ...nothing,
  callsPerSecond: 12_345.6,
  failedPerSecond: 0.25,
  p50Ms: 0.012,
  p99Ms: 12.34,
  running: 3,
  queued: 12,
  streams: 2,
  sessions: 17,
  lagMs: 104.7,
  pingMs: 0,
}
const wide = { columns: 200, rows: 20 }
const marked = (line: string, sample: Sample | undefined): string => `${sample?.state ?? 'head'}: ${line}`

describe('the table of zask top', () => {
  it('shows numbers as short as they can be read, and nothing where nothing is known', async () => {
    expect(await topTable([busy, nothing], wide)).to.deep.equal([
      'service   version   endpoint               state   calls/s   p50 ms   p99 ms   errors/s   in flight   streams   sessions   lag ms   ping ms',
      'users     1.0       tcp://127.0.0.1:4242   up       12,346    0.012     12.3       0.25        3+12         2         17      105         0',
      'users     1.0       tcp://127.0.0.1:4242   up',
    ])
  })

  it('says why a service is refused, on one line whatever its peer says', async () => {
    const refused: Sample = { ...nothing, state: 'refused', problem: `No\n\u001b[31m key ${'x'.repeat(200)}` }
    const [head, line = ''] = await topTable([refused], wide)
    expect(line).to.match(/refused +No \\u001b\[31m key x+…$/)
    expect(line).to.have.length(200)
    expect(head).to.match(/ping ms$/)
  })

  it('leaves columns out where the window is narrow, the least important first', async () => {
    const widths = [120, 80, 40, 10]
    const tables = await Promise.all(widths.map((columns) => topTable([busy], { columns, rows: 20 })))
    for (const [index, lines] of tables.entries()) {
      expect(lines.every((line) => line.length <= (widths[index] as number))).to.equal(true)
    }
    expect(tables.map(([head]) => head)).to.deep.equal([
      'service   version   endpoint               state   calls/s   p50 ms   p99 ms   errors/s   in flight   streams   lag ms',
      'service   endpoint               state   calls/s   p99 ms   errors/s   in flight',
      'service   state   calls/s   p99 ms',
      'service',
    ])
  })

  it('says how many services do not fit into a low window', async () => {
    const samples = Array.from({ length: 5 }, () => busy)
    expect(await topTable(samples, { columns: 80, rows: 6 })).to.have.length(6)
    const low = await topTable(samples, { columns: 80, rows: 4 })
    expect(low).to.have.length(4)
    expect(low.at(-1)).to.match(/^and 3 more/)
  })

  it('marks lines by what is told of them', async () => {
    const lines = await topTable([busy, { ...nothing, state: 'down' }], wide, marked)
    expect(lines.map((line) => line.split(':')[0])).to.deep.equal(['head', 'up', 'down'])
  })
})
