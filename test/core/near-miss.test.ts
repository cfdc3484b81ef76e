import { expect } from 'chai'
import { byLikeness, nearMiss } from '../../core/near-miss.ts'

const hooks = ['configLoaded', 'beforeCall', 'afterCall', 'stopping', 'stopped']

describe('near misses', () => {
  it('finds the name meant behind a letter left out, added, replaced or swapped', () => {
    for (const typo of ['beforeCal', 'beforeCalls', 'beforeKall', 'beforeClal', 'BEFORECALL']) {
      expect(nearMiss(typo, hooks), typo).to.equal('beforeCall')
    }
  })

  it('suggests nothing where no candidate is alike', () => {
    expect(nearMiss('onRequest', hooks)).to.equal(undefined)
    expect(nearMiss('x', [])).to.equal(undefined)
    expect(nearMiss('', hooks)).to.equal(undefined)
  })

  it('puts the most alike first and keeps the order of equals', () => {
    expect(byLikeness('stoped', hooks).slice(0, 2)).to.deep.equal(['stopped', 'stopping'])
    expect(byLikeness('zz', ['ab', 'cd', 'ef'])).to.deep.equal(['ab', 'cd', 'ef'])
  })

  it('compares names of any length by their beginnings', () => {
    expect(nearMiss('a'.repeat(1_000_000), ['a'.repeat(64)])).to.equal('a'.repeat(64))
  })
})
