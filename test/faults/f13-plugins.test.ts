import { expect } from 'chai'
import { full } from './scale.ts'
import { Stage } from './stage.ts'

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
      expect(code).equal(0)
    })
  }

  it('in beforeCall: that call is answered with the error, and nothing else happens', async () => {
    const child = stage.child('../faults/failing-app.ts', { where: 'beforeCall' })
    const { code } = await child.exited
    expect(child.said).deep.include({ answered: 'RemoteError: on purpose' })
    expect(child.errors).equal('')
    expect(code).equal(0)
  })
})
