import { expect } from 'chai'
import fc from 'fast-check'
import { type Bucket, Histogram, quantile } from '../../core/histogram.ts'

const filled = (...ms: number[]): Bucket[] => {
  const histogram = new Histogram()
  for (const one of ms) histogram.record(one)
  return histogram.buckets()
}

describe('a histogram', () => {
  it('knows each duration to a sixteenth of itself, or to a microsecond', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 2_000_000, noNaN: true }), (ms) => {
        const [[upToUs] = [0, 0], ...more] = filled(ms)
        expect(more).to.deep.equal([])
        expect(upToUs).to.be.greaterThan(ms * 1000)
        expect(upToUs).to.be.at.most(ms * 1000 + Math.max(1, (ms * 1000) / 16) + 1e-6)
      }),
    )
  })

  it('counts in the order of durations, and what is too long as the longest it knows', () => {
    expect(filled(5, 0.001, 5, 0, 1e12, Infinity)).to.deep.equal([
      [1, 1],
      [2, 1],
      [5120, 2],
      [2 ** 31, 2],
    ])
  })

  it('has quantiles, and none while it is empty', () => {
    const buckets = filled(...Array.from({ length: 100 }, (_, index) => (index < 98 ? 1 : 1000)))
    expect(quantile(buckets, 0.5)).to.equal(1.024)
    expect(quantile(buckets, 0.98)).to.equal(1.024)
    expect(quantile(buckets, 0.99)).to.be.within(1000, 1063)
    expect(quantile([], 0.5)).to.equal(null)
  })
})
