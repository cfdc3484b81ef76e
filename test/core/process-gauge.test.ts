import { expect } from 'chai'
import { ProcessGauge } from '../../core/process-gauge.ts'
import { run, sourceCondition } from '../support/processes.ts'
import { pause } from '../support/cores.ts'

describe('the gauge of a process', () => {
  let gauge: ProcessGauge

  beforeEach(() => {
    gauge = new ProcessGauge()
  })

  afterEach(() => gauge.close())

  it('tells age and memory at once, and of the event loop from the second look on', async () => {
    const first = gauge.look()
    expect(first.uptimeMs).to.be.within(1, process.uptime() * 1000 + 1)
    expect(first.rssBytes).to.be.greaterThan(first.heapUsedBytes).and.greaterThan(1e6)
    expect(first.loop).to.equal(null)
    await pause(30)
    expect(gauge.look().loop?.lagMs).to.be.at.least(0)
    expect(gauge.look().loop?.busy).to.be.within(0, 1)
  })

  it('sees a loop that was blocked, right behind a look as well, and forgets it with the look that told it', async () => {
    gauge.look()
    const until = performance.now() + 400
    while (performance.now() < until);
    const { loop } = gauge.look()
    expect(loop?.lagMs).to.be.at.least(300)
    expect(loop?.busy).to.be.at.least(0.5)
    await pause(60)
    expect(gauge.look().loop?.lagMs).to.be.below(300)
  })

  it('keeps no process alive', async () => {
    const program = `import { ProcessGauge } from './core/process-gauge.ts'\nnew ProcessGauge().look()`
    const { code, output } = await run(process.execPath, [
      sourceCondition,
      '--input-type=module-typescript',
      '--eval',
      program,
    ])
    expect([code, output]).to.deep.equal([0, ''])
  })

  it('stops measuring when nobody has looked for ten seconds, and begins anew', async () => {
    const { performance: clock } = globalThis
    const real = clock.now.bind(clock)
    gauge.look()
    await pause(30)
    try {
      clock.now = () => real() + 11_000
      // The next step finds that the last look is long ago.
      await pause(60)
      expect(gauge.look().loop).to.equal(null)
      await pause(30)
      expect(gauge.look().loop?.lagMs).to.be.at.least(0)
    } finally {
      clock.now = real
    }
  })
})
