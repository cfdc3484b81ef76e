import { parseArgs } from 'node:util'
import { grows, renderReport, renderRow, rowHeader } from './report.ts'
import { runSoak, type SoakRow } from './soak.ts'

const help = `npm run test:soak -- [options]

  --minutes N     how long (20)
  --processes N   processes of callers (2)
  --clients N     clients of each (2)
  --churn N       clients that come and go, and streams that are left, at each look (0)
  --no-database   without PostgreSQL
`

const { values } = parseArgs({
  allowNegative: true,
  options: {
    minutes: { type: 'string', default: '20' },
    processes: { type: 'string', default: '2' },
    clients: { type: 'string', default: '2' },
    churn: { type: 'string', default: '0' },
    database: { type: 'boolean', default: true },
    help: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.minutes) * 60
if (values.help || !(seconds > 0)) {
  process.stdout.write(help)
  process.exit(values.help ? 0 : 2)
}

let before: SoakRow | undefined
process.stdout.write(`${rowHeader}\n`)
const report = await runSoak({
  seconds,
  everySeconds: Math.min(20, Math.max(2, seconds / 10)),
  processes: Number(values.processes),
  clients: Number(values.clients),
  database: values.database,
  churn: Number(values.churn),
  rotateSeconds: 60,
  heartbeatMs: 5000,
  tell(row) {
    process.stdout.write(`${renderRow(row, before)}\n`)
    before = row
  },
})
process.stdout.write(`\n${renderReport(report)}\n`)

const { after, rows, failures, callers } = report
const complaints = [
  failures > 0 && `${failures} calls failed`,
  after.now.channels + after.now.running > 0 && 'the server has something open',
  callers.channels + callers.calling > 0 && 'the callers have something open',
  after.files > report.before.files && 'the server has more files open than before',
  // Of those who came and went it remembers 10,000, and what they have shown: 1.5 KB each.
  Number(values.churn) === 0 &&
    grows(rows, ({ server }) => server.liveBytes) &&
    'the server grows by more than 1 MiB an hour',
  after.liveBytes - report.before.liveBytes > 24 * 2 ** 20 && 'the server holds 24 MiB more than before',
].filter((one) => one !== false)
process.stdout.write(complaints.length === 0 ? '\nheld\n' : `\nNOT HELD: ${complaints.join('; ')}\n`)
process.exitCode = complaints.length === 0 ? 0 : 1
