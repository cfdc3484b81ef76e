import { expect } from 'chai'
import type { StatsReport } from '../../core/index.ts'
import type { Child } from '../support/children.ts'
import { full } from './scale.ts'
import { Stage } from './stage.ts'

/** Its figures, as it ended. */
async function statsOf(child: Child): Promise<StatsReport> {
  return (await child.says('stats')) as StatsReport
}

describe('F13: a plugin that fails', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  for (const where of ['apply', 'configLoaded', 'resolveEndpoint', 'started']) {
    it(`in ${where}: what a start cannot do without ends the process, and names the plugin`, async () => {
      const child = stage.child('../faults/failing-app.ts', { where })
      const { code } = await child.exited
      if (where === 'started') {
        // An observer: the service is up already, and stays so.
        expect(child.said).deep.include({ answered: 'here' })
        expect(child.errors).match(/plugin clumsy failed in started: on purpose/)
        expect(await statsOf(child)).deep.include({ hooks: { failed: 1 } })
        expect(code).equal(0)
        return
      }
      expect(code).equal(1)
      expect(child.said).deep.equal([])
      expect(child.errors).match(/clumsy/)
      expect(child.errors).match(/on purpose/)
    })
  }

  for (const where of ['afterCall', 'sessionEnd', 'stopping', 'stopped']) {
    it(`in ${where}: calls are answered, the log names it, and the process ends with 0`, async () => {
      const child = stage.child('../faults/failing-app.ts', { where })
      const { code } = await child.exited
      expect(child.said).deep.include({ answered: 'here' })
      expect(child.errors).match(new RegExp(`plugin clumsy failed in ${where}: on purpose`))
      expect(child.errors).not.match(/unhandled|uncaught/i)
      const { hooks, served } = await statsOf(child)
      expect(hooks.failed).at.least(1)
      expect(served.failed).equal(0)
      expect(code).equal(0)
    })
  }

  it('in beforeCall: that call is answered with the error, and nothing else happens', async () => {
    const child = stage.child('../faults/failing-app.ts', { where: 'beforeCall' })
    const { code } = await child.exited
    expect(child.said).deep.include({ answered: 'RemoteError: on purpose' })
    expect(child.errors).equal('')
    expect((await statsOf(child)).served).include({ ok: 0, failed: 1 })
    expect(code).equal(0)
  })
})
