import { expect } from 'chai'
import { fromWireError, toWireError } from '../../core/answer.ts'
import { RemoteError, ZaskError } from '../../core/errors.ts'
import type { Event } from '../../core/wire/event.ts'

function received(args: unknown, headers: Record<string, unknown> = {}): ZaskError {
  return fromWireError({ name: 'ERR', args, headers } as unknown as Event)
}

const trap = (): never => {
  throw new Error('trap')
}

describe('toWireError', () => {
  it('names an error by its name, or by its class where the name was only inherited', () => {
    class NotFound extends Error {}
    const named = Object.assign(new Error('a'), { name: 'Special' })
    const names = [new NotFound('a'), new TypeError('a'), named, 'text', null].map(
      (one) => toWireError(one, false).args[0],
    )
    expect(names).deep.equal(['NotFound', 'TypeError', 'Special', 'Error', 'Error'])
  })

  it('always has three elements, the traceback empty unless it is asked for', () => {
    const error = new Error('boom')
    expect(toWireError(error, false).args).deep.equal(['Error', 'boom', ''])
    expect(toWireError(error, true).args[2]).include('answer.test.ts')
    for (const thrown of [undefined, null, 5, 10n, Symbol('x'), {}, { message: 5, stack: 5 }, () => 1]) {
      const { args } = toWireError(thrown, true)
      expect(args.map((one) => typeof one)).deep.equal(['string', 'string', 'string'])
    }
  })

  it('sends another error in its place where it is told to, and keeps the traceback of what was thrown', () => {
    const thrown = new RangeError('secret')
    const shown = new ZaskError('BANK_CLOSED', 'closed', { name: 'ClosedError', retryable: true })
    const quiet = toWireError(thrown, false, shown)
    expect(quiet).deep.equal({
      args: ['ClosedError', 'closed', ''],
      headers: { code: 'BANK_CLOSED', retryable: true },
    })
    expect(toWireError(thrown, true, shown).args[2]).match(/^RangeError: secret/)
  })

  it('survives errors whose properties throw', () => {
    const hostile = new Proxy({}, { get: trap, getPrototypeOf: trap, has: trap, ownKeys: trap })
    expect(toWireError(hostile, true).args[0]).equal('Error')
  })

  it('cuts what is too long', () => {
    const error = Object.assign(new Error('m'.repeat(100_000)), {
      name: 'n'.repeat(1000),
      stack: 's'.repeat(100_000),
    })
    expect(toWireError(error, true).args.map((one) => one.length)).deep.equal([200, 16_384, 65_536])
  })

  it('puts code, details and retryable of a ZaskError into the header, of others nothing', () => {
    const error = new ZaskError('ZASK_SERVER_OVERLOADED', 'full', {
      retryable: true,
      details: { waiting: 3 },
    })
    expect(toWireError(error, false)).deep.equal({
      args: ['Overloaded', 'full', ''],
      headers: { code: 'ZASK_SERVER_OVERLOADED', retryable: true, details: { waiting: 3 } },
    })
    expect(toWireError(new Error('a'), false).headers).equal(undefined)
  })
})

describe('fromWireError', () => {
  it('reads what toWireError wrote', () => {
    const sent = toWireError(
      new ZaskError('MY_CODE', 'full', { retryable: true, details: { waiting: 3 } }),
      false,
    )
    const error = received(sent.args, sent.headers)
    expect(error).instanceOf(RemoteError).and.instanceOf(ZaskError).and.instanceOf(Error)
    expect(error).include({
      code: 'MY_CODE',
      message: 'full',
      retryable: true,
      sent: true,
      remoteName: 'ZaskError',
    })
    expect(error.details).deep.equal({ waiting: 3 })
  })

  it('makes an error of whatever came', () => {
    const bodies = [
      null,
      undefined,
      5,
      'text',
      {},
      [],
      [1],
      [null, null, null],
      [{}, [], new Map()],
      Array(50).fill(1),
    ]
    for (const args of bodies) {
      const error = received(args)
      expect([typeof error.message, (error as RemoteError).remoteName.length > 0]).deep.equal([
        'string',
        true,
      ])
      expect(error).include({ code: 'ZASK_REMOTE', retryable: false })
    }
    expect(received(['only the text'])).include({ message: 'only the text', remoteName: 'RemoteError' })
    expect(received(['ValueError', 42, 7n])).include({ message: '42', remoteTraceback: '7' })
  })

  it('trusts no header further than its shape', () => {
    for (const code of [5, '', 'lower', 'A'.repeat(65), 'A B', '__proto__', null]) {
      expect(received(['E', 'm', ''], { code }).code, String(code)).equal('ZASK_REMOTE')
    }
    expect(received(['E', 'm', ''], { retryable: 1, details: 'x' })).include({ retryable: false })
    expect(received(['E', 'm', ''], { details: 'x' }).details).equal(undefined)
    expect(received(['E'.repeat(1000), 'm'.repeat(100_000), 't'.repeat(100_000)]).message).have.length(16_384)
  })
})
