import { expect } from 'chai'
import { join } from 'node:path'
import { repository, run, sourceCondition } from '../support/processes.ts'

/** Of the functions whose compiled code a collection of garbage took away: `[marking dependent code ... #name>)`. */
const takenAway = /marking dependent code .*?<SharedFunctionInfo (.+?)>\).*embedded weak objects cleared/g

describe('the code the engine made for calls', () => {
  it('outlives a collection of garbage at a moment without any call', async () => {
    const script = join(repository, 'test/support/collected-child.ts')
    const options = ['--trace-deopt', sourceCondition, script]
    const { code, stdout } = await run(process.execPath, options)
    expect(code).to.equal(0)
    const names = new Set([...stdout.matchAll(takenAway)].map(([, name]) => name))
    // What is needed for calls would be among them, were it not kept; of what only this script has, nothing is.
    expect(names).to.include('readPassing')
    for (const own of ['Passing', 'readPassing', 'passOn', 'echo', 'count']) names.delete(own)
    expect([...names]).to.deep.equal([])
  })
})
