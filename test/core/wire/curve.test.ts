import { expect } from 'chai'
import * as zmq from 'zeromq'
import type { ZaskError } from '../../../core/errors.ts'
import { checkKey, curveKeyPair, publicKeyOf, toZ85 } from '../../../core/wire/curve.ts'

function complaint(value: unknown): ZaskError {
  try {
    checkKey(value, 'the key')
  } catch (error) {
    return error as ZaskError
  }
  throw new Error('it was taken for a key')
}

describe('a CURVE key', () => {
  it('is written as libzmq writes it', () => {
    // The test vector of RFC 32.
    expect(toZ85(Buffer.from('864fd26fb559f75b', 'hex'))).to.equal('HelloWorld')
    expect(toZ85(Buffer.alloc(4, 255))).to.equal('%nSc0')
    expect(toZ85(Buffer.alloc(0))).to.equal('')
  })

  it('has the public key that libzmq has for it', () => {
    for (let round = 0; round < 20; round++) {
      const { publicKey, secretKey } = zmq.curveKeyPair()
      expect(publicKeyOf(secretKey)).to.equal(publicKey)
      expect(checkKey(publicKey, '')).to.equal(publicKey)
    }
  })

  it('is made anew each time', () => {
    const made = Array.from({ length: 20 }, () => curveKeyPair())
    expect(new Set(made.flatMap(({ publicKey, secretKey }) => [publicKey, secretKey])).size).to.equal(40)
    for (const { publicKey, secretKey } of made) expect(publicKeyOf(secretKey)).to.equal(publicKey)
  })

  const { secretKey } = curveKeyPair()
  const wrong: [unknown, string][] = [
    [secretKey.slice(1), 'it has 39 characters'],
    [`${secretKey}0`, 'it has 41 characters'],
    ['', 'it has 0 characters'],
    [`${secretKey.slice(0, 6)}~${secretKey.slice(7)}`, 'its character 7 is not one of Z85'],
    [`${secretKey.slice(0, 39)}\n`, 'its character 40'],
    ['#'.repeat(40), 'more than four bytes'],
    [undefined, 'of type undefined'],
    [null, 'null'],
    [Buffer.alloc(32), 'of type object'],
    [[secretKey], 'a list'],
  ]
  for (const [value, reason] of wrong) {
    it(`is not what is wrong because ${reason}, and the message does not tell it`, () => {
      const error = complaint(value)
      expect(error.code).to.equal('ZASK_CURVE_KEY_INVALID')
      expect(error.message).to.contain('the key').and.contain(reason).and.contain('zask keygen')
      expect(error.message).not.to.contain(secretKey.slice(8, 20))
    })
  }
})
