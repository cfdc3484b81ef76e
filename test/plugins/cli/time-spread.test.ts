import { expect } from 'chai'
import { TimeSpread } from '../../../plugins/cli/time-spread.ts'

describe('the histogram of zask bench', () => {
  it('has bars from the shortest time to the longest, in steps of 1, 2 and 5', () => {
    const spread = new TimeSpread()
    expect(spread.bars).to.deep.equal([])
    for (const microseconds of [150, 200, 201, 1_000, 1_900]) spread.record(microseconds)
    expect(spread.bars).to.deep.equal([
      { upToMs: 0.2, calls: 2 },
      { upToMs: 0.5, calls: 1 },
      { upToMs: 1, calls: 1 },
      { upToMs: 2, calls: 1 },
    ])
  })

  it('counts in its first and last bar what lies beyond them', () => {
    const spread = new TimeSpread()
    for (const microseconds of [1, 1e12]) spread.record(microseconds)
    const bars = spread.bars
    expect([bars[0], bars.at(-1), bars.length]).to.deep.equal([
      { upToMs: 0.01, calls: 1 },
      { upToMs: 1_000_000, calls: 1 },
      25,
    ])
  })
})
