import { expect } from 'chai'
import { checkOptions, milliseconds, wireOptions } from '../../core/options.ts'

describe('wireOptions', () => {
  it('fills in the documented defaults', () => {
    const { heartbeatMs, window, coalesce, events, maxPendingBytes, lingerMs } = wireOptions({}, 7)
    expect({ heartbeatMs, window, coalesce, maxPendingBytes, lingerMs }).deep.equal({
      heartbeatMs: 5000,
      window: 100,
      coalesce: true,
      maxPendingBytes: 16 * 1024 * 1024,
      lingerMs: 7,
    })
    expect(events.maxBytes).equal(8 * 1024 * 1024)
  })

  it('takes null for no heartbeats, and refuses what is no interval', () => {
    expect(wireOptions({ heartbeat: null }, 0).heartbeatMs).equal(null)
    expect(wireOptions({ heartbeat: { intervalMs: 250 } }, 0).heartbeatMs).equal(250)
    expect(wireOptions({ heartbeat: { intervalMs: 250 } }, 0).activeHeartbeat).equal(false)
    expect(wireOptions({ heartbeat: { intervalMs: 250, active: true } }, 0).activeHeartbeat).equal(true)
    for (const heartbeat of [
      5,
      true,
      {},
      { intervalMs: 5 },
      { intervalMs: '5000' },
      { intervalMs: Number.NaN },
    ]) {
      expect(() => wireOptions({ heartbeat: heartbeat as never }, 0), JSON.stringify(heartbeat))
        .to.throw('heartbeat is { intervalMs: 10 or more } or null')
        .with.property('code', 'ZASK_OPTION_INVALID')
    }
    expect(() => wireOptions({ heartbeat: { intervalMs: 50, timeoutMs: 5 } as never }, 0)).to.throw(
      "heartbeat has no option 'timeoutMs'",
    )
  })

  it('names option, range and value where one is out of range', () => {
    expect(() => wireOptions({ window: 1 }, 0)).to.throw('window is a whole number from 2 to 10000, got 1.')
    expect(() => wireOptions({ maxEventBytes: 10 }, 0)).to.throw('maxEventBytes is a whole number from 1024')
    expect(() => wireOptions({ maxPendingBytes: 1.5 }, 0)).to.throw('got 1.5')
  })
})

describe('milliseconds', () => {
  it('take the default for undefined only, and refuse what is no time', () => {
    expect(milliseconds('ms', undefined, 5)).equal(5)
    expect(milliseconds('ms', Infinity, 5)).equal(Infinity)
    for (const value of [0, -1, Number.NaN, '5', {}, null]) {
      expect(() => milliseconds('ms', value as never, 5), JSON.stringify(value)).to.throw(
        'above 0, or Infinity',
      )
    }
  })
})

const check = (options: object): void => checkOptions('start', options, ['bind', 'poolSize'])

describe('checkOptions', () => {
  it('names the option that was meant, or all there are', () => {
    expect(() => check({ bind: 1, poolSize: 2 })).not.to.throw()
    expect(() => check({ pool_size: 1 })).to.throw(
      "start has no option 'pool_size'. Did you mean 'poolSize'?",
    )
    expect(() => check({ zebra: 1 })).to.throw('It has bind, poolSize.')
    expect(() => check(null as never)).to.throw('start takes an object of options, got null')
    expect(() => check('tcp://x' as never)).to.throw("got 'tcp://x'")
    expect(() => check(['tcp://x'])).to.throw("start takes an object of options, got [ 'tcp://x' ]")
  })

  it('holds values against rules where there are any, undefined being none', () => {
    const rules = { keep: { called: 'a number of files', accepts: (value: unknown) => value === 1 } }
    expect(() => checkOptions('my-plugin', { keep: 1 }, rules)).not.to.throw()
    expect(() => checkOptions('my-plugin', { keep: undefined }, rules)).not.to.throw()
    expect(() => checkOptions('my-plugin', { keep: 2 }, rules))
      .to.throw('keep of my-plugin is a number of files, got 2.')
      .with.property('code', 'ZASK_OPTION_INVALID')
    expect(() => checkOptions('my-plugin', { own: 5, keep: 1 }, { ...rules, own: undefined })).not.to.throw()
    expect(() => checkOptions('my-plugin', { kep: 1 }, rules)).to.throw("Did you mean 'keep'?")
    expect(() => checkOptions('my-plugin', { toString: 1 }, rules)).to.throw("has no option 'toString'")
  })
})
