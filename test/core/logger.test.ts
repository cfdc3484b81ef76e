import { expect } from 'chai'
import { createLogger, type Logger } from '../../core/logger.ts'

describe('the default logger', () => {
  let lines: string[]
  let log: Logger

  beforeEach(() => {
    lines = []
    log = createLogger({ write: (line) => lines.push(line) })
  })

  /** The only line written, without its time and newline. */
  function written(): string {
    expect(lines).to.have.length(1)
    const [, rest] = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)\n$/.exec(lines[0]!) ?? []
    if (rest === undefined) throw new Error(`not one line with a time: ${JSON.stringify(lines[0])}`)
    return rest
  }

  it('writes warnings and what is worse, and nothing below', () => {
    log.trace('a')
    log.debug('b')
    log.info('c')
    log.warn('d')
    log.error('e')
    log.fatal('f')
    expect(lines.map((line) => line.split(' ').slice(1).join(' '))).to.deep.equal([
      'WARN d\n',
      'ERROR e\n',
      'FATAL f\n',
    ])
  })

  it('puts parameters into the message as bunyan does', () => {
    log.warn('%s took %d ms', 'users.name', 12, { bind: 'users' })
    expect(written()).to.equal(`WARN users.name took 12 ms { bind: 'users' }`)
  })

  it('takes fields first, and writes them behind the message', () => {
    log.warn({ plugin: 'headers', key: 'two words', missing: undefined, n: 1n }, 'refused %s', 'it')
    expect(written()).to.equal('WARN refused it plugin=headers key="two words" n=1n')
  })

  it('takes an error first, with and without a message', () => {
    log.error(new TypeError('no such user'))
    expect(written()).to.match(
      /^ERROR no such user err="TypeError: no such user \(at .*logger\.test\.ts:\d+:\d+\)?\)"$/,
    )
    lines.length = 0
    log.error(new TypeError('no such user'), 'call %d failed', 7)
    expect(written()).to.match(/^ERROR call 7 failed err="TypeError: no such user \(at /)
  })

  it('adds the fields of its parents, nearest last', () => {
    log.child({ component: 'core', call: 1 }).child({ call: 2 }).warn({ bind: 'a' }, 'slow')
    expect(written()).to.equal('WARN slow component=core call=2 bind=a')
  })

  it('writes nothing when only asked for its level, as bunyan', () => {
    log.warn()
    expect(lines).to.deep.equal([])
  })

  it('keeps line breaks, terminal escapes and reversed text inside of one line', () => {
    log.warn({ key: 'x\u001b[2J\u2028y' }, 'forged\n2026-01-01 ERROR %s\r\u0085\u202e', 'text\u0000')
    const text = written()
    expect(text).to.not.match(/[^\x20-\x7e]/)
    expect(text).to.include('forged\\n2026-01-01 ERROR text\\x00\\r\\x85\\u202e')
    expect(text).to.include('x\\u001b[2J\\u2028y')
  })

  it('cuts a line that is too long, and says so', () => {
    log.warn('x'.repeat(100_000))
    expect(lines[0]!.length).to.be.below(8300)
    expect(lines[0]).to.match(/x… \(100000 characters\)\n$/)
  })

  it('never throws, whatever it is given and whatever becomes of the line', () => {
    const hostile = {
      get field(): string {
        throw new Error('getter')
      },
      [Symbol.for('nodejs.util.inspect.custom')](): string {
        throw new Error('inspect')
      },
      toString(): string {
        throw new Error('toString')
      },
    }
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    log.warn(hostile, 'a')
    log.warn('b %s', hostile)
    log.warn({ hostile, symbol: Symbol('s'), none: null, revoked: revoked.proxy }, 'c')
    expect(lines).to.have.length(3)
    expect(lines[0]).to.include('WARN a field=(cannot be shown: getter)')
    createLogger({
      write() {
        throw new Error('EPIPE')
      },
    }).fatal('lost')
  })
})
