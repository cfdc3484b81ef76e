import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { createKeyCheck } from '../../plugins/headers/key-check.ts'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { compareTimes, cropped, telling, welchT } from './timing.ts'

const rightKey = 'right-key-5d41402abc4b2a76b9719d'

/** What wrong keys begin with. As many letters of either kind: making a key takes the same work. */
const beginnings = ['abcdefghijklmnopq', 'r'.repeat(17)] as const

/** A wrong key as long as the right one, whose first byte is wrong (0), or right (1). */
function makeKey(kind: 0 | 1): string {
  const bytes = Buffer.from(randomBytes(rightKey.length / 2).toString('hex'), 'latin1')
  bytes[0] = beginnings[kind].charCodeAt((bytes[1] as number) % 17)
  return bytes.toString('latin1')
}

/** As nobody should compare keys: it ends at the first letter that differs. */
function isRightByLetters(key: string): boolean {
  for (let at = 0; at < rightKey.length; at++) if (key[at] !== rightKey[at]) return false
  return true
}

describe('the time a key takes', function () {
  this.timeout(full ? 120_000 : 30_000)
  const checks = times(200_000, 20_000)

  it('says nothing about the keys that a service takes', () => {
    const check = createKeyCheck()
    const known = [rightKey, ...Array.from({ length: 9 }, () => randomBytes(16).toString('hex'))]
    expect(check(rightKey, known)).equal(true)
    const t = compareTimes((key) => check(key, known), makeKey, checks)
    measured(
      'P21',
      `|t| of the times of 2 x ${checks} checks, first byte right and wrong`,
      Math.abs(t),
      'standard errors',
    )
    expect(Math.abs(t)).below(telling)
  })

  it('would be seen to say something, were keys compared letter by letter', () => {
    const t = compareTimes(isRightByLetters, makeKey, checks)
    measured('P21', 't of the same, were they compared letter by letter', t, 'standard errors')
    expect(t).above(telling)
  })
})

describe("Welch's t", () => {
  it('is the distance of the means in standard errors', () => {
    // Means 2.5 and 6, variances 5/3 and 10, four and five values.
    expect(welchT([1, 2, 3, 4], [2, 4, 6, 8, 10])).closeTo(3.5 / Math.sqrt(5 / 3 / 4 + 10 / 5), 1e-12)
    expect(welchT([2, 4, 6, 8, 10], [1, 2, 3, 4])).closeTo(-2.251436, 1e-6)
    expect(welchT([1, 2, 3], [1, 2, 3])).equal(0)
  })

  it('is of the times without the longest of both together', () => {
    expect(cropped([1, 9, 3], [2, 100, 4, 5, 6, 7, 8], 0.9)).deep.equal([
      [1, 9, 3],
      [2, 4, 5, 6, 7, 8],
    ])
    expect(cropped([1], [2], 1)).deep.equal([[1], [2]])
  })
})
