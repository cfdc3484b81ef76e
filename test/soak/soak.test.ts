import { expect } from 'chai'
import { growthOf, grows, renderReport } from './report.ts'
import { runSoak, type SoakReport, type SoakRow } from './soak.ts'

const MiB = 2 ** 20
/** `npm run test:soak -- --minutes N` goes on for longer, with a database. */
const seconds = Number(process.env['SOAK_SECONDS'] ?? 60)

describe(`a service in use for ${seconds} s by four clients at full speed`, function () {
  this.timeout((seconds + 150) * 1000)

  let report: SoakReport
  before(async () => {
    report = await runSoak({
      seconds,
      everySeconds: 2,
      processes: 1,
      clients: 4,
      database: false,
      churn: 2,
      rotateSeconds: 7,
      heartbeatMs: 2000,
    })
    console.log(renderReport(report).replace(/^/gm, '      '))
  })

  it('answers every call as it should be answered', () => {
    expect(report.wrong).to.equal(undefined)
    expect(report.failures).to.equal(0)
    expect(report.calls).to.be.above(200)
  })

  it('has nothing open at the end, nor have its callers', () => {
    // The call that looks has its deadline and its beats.
    expect(report.after.now).to.deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 2 })
    expect(report.callers).to.include({ channels: 0, calling: 0 })
  })

  it('has as many files open at the end as before the first call, and is kept alive by the same things', () => {
    expect(report.after.files).to.be.at.most(report.before.files)
    expect(report.after.resources).to.deep.equal(report.before.resources)
  })

  it('holds no more memory at the end than before, whoever came and went', () => {
    const { churned, before: start, after: end } = report
    expect(churned.clients).to.be.above(0)
    expect(churned.streams).to.equal(churned.clients)
    expect(churned.killed).to.be.above(0)
    expect((end.liveBytes - start.liveBytes) / MiB).to.be.below(6)
  })
})

describe('the growth of a soak', () => {
  it('is the slope of the last two thirds, in bytes an hour', () => {
    const warming = [rowAt(0, 0), rowAt(60, 900)]
    const steady = [120, 180, 240, 300].map((at) => rowAt(at, 1000 + at))
    const { perHour, error } = growthOf([...warming, ...steady], live)
    expect(perHour).to.be.closeTo(3600, 1e-6)
    expect(error).to.be.closeTo(0, 1e-6)
  })

  it('is one beyond doubt only where it is more than chance', () => {
    const minutes = Array.from({ length: 30 }, (_, minute) => minute)
    expect(
      grows(
        minutes.map((at) => rowAt(at * 60, (at % 2) * 4 * MiB)),
        live,
      ),
    ).to.equal(false)
    // A mebibyte a minute.
    expect(
      grows(
        minutes.map((at) => rowAt(at * 60, (at % 2) * 4 * MiB + at * MiB)),
        live,
      ),
    ).to.equal(true)
    expect(grows([rowAt(1, 5)], live)).to.equal(false)
  })
})

function rowAt(atSeconds: number, liveBytes: number): SoakRow {
  return { atSeconds, server: { liveBytes } } as SoakRow
}

function live({ server }: SoakRow): number {
  return server.liveBytes
}
