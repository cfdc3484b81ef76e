import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { ZaskError } from '../../../core/errors.ts'
import {
  defaultLimits,
  EventReader,
  EventWriter,
  IdSource,
  type Event,
  type EventLimits,
} from '../../../core/wire/event.ts'

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const list = (length: number): number[] => Array.from({ length }, () => 1)
const counterOf = (id: string): number => Number.parseInt(id.slice(2, 10), 16)
const utf8 = (text: string): string => Buffer.from(text).toString('hex')

function read(
  bytes: Uint8Array | string,
  limits: Partial<EventLimits> = {},
): { events: Event[]; reason: string | undefined } {
  const events: Event[] = []
  const payload = typeof bytes === 'string' ? bytesOf(bytes) : bytes
  const reason = new EventReader(limits).read(payload, (event) => events.push(event))
  return { events, reason }
}

function one(bytes: Uint8Array | string): Event {
  const { events, reason } = read(bytes)
  expect(reason).to.equal(undefined)
  expect(events).to.have.length(1)
  return events[0]!
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return error instanceof ZaskError ? error.code : String(error)
  }
  return undefined
}

const messageId = 'aa' + utf8('message_id')
const responseTo = 'ab' + utf8('response_to')
const id32 = 'c420' + utf8('0123456789abcdef0123456789abcdef')
const header = `82${messageId}${id32}a17603`

describe('an event', () => {
  describe('as it is read', () => {
    it('has id, version, name and args', () => {
      const event = one(`93 ${header} a3616464 920104`)
      expect(event).to.deep.equal({
        id: Buffer.from(id32, 'hex').toString('latin1'),
        responseTo: undefined,
        version: 3,
        headers: event.headers,
        name: 'add',
        args: [1, 4],
        malformed: undefined,
      })
      expect(Object.keys(event.headers)).to.deep.equal([])
    })

    it('has other header keys in a record without a prototype, nobody able to change the empty one', () => {
      const event = one(`93 84 ${messageId} 01 a17603 a161 a178 a162 81a16302 a16d c0`)
      expect(Object.getPrototypeOf(event.headers)).to.equal(null)
      expect({ ...event.headers }).to.deep.equal({ a: 'x', b: { c: 2 } })
      expect(one(`93 80 a16d c0`).headers).to.equal(one(`93 80 a16e c0`).headers)
      expect(Object.isFrozen(one(`93 80 a16d c0`).headers)).to.equal(true)
    })

    it('keeps an id as its type and bytes, whatever scalar it is', () => {
      const tokens = [
        'c40161',
        'a161',
        'd90161',
        'da000161',
        'c5000161',
        '05',
        'cc05',
        'ff',
        'd3ffffffffffffffff',
      ]
      const seen = new Set<string | undefined>()
      for (const token of [
        ...tokens,
        'c0',
        'c3',
        'ca3fc00000',
        'cb3ff8000000000000',
        'a0',
        'c400',
        'cf0000000000000005',
      ]) {
        const event = one(`93 81 ${messageId} ${token} a16d c0`)
        expect(event.id, token).to.equal(Buffer.from(token, 'hex').toString('latin1'))
        seen.add(event.id)
        const writer = new EventWriter()
        writer.write({ id: '\x01', responseTo: event.id }, 'OK', [1])
        expect(writer.take().toString('hex'), token).to.equal(
          `9383${messageId}01a17603${responseTo}${token}a24f4b9101`,
        )
      }
      expect(seen.size).to.equal(16)
    })

    it('has no id where there is an array, a map, an ext, or more than 256 bytes', () => {
      for (const token of [
        '9101',
        '90',
        '80',
        '81a16101',
        'd40501',
        'c7020161 62'.replace(' ', ''),
        'dc000101',
      ]) {
        const event = one(`93 82 ${messageId} ${token} ${responseTo} ${token} a16d c0`)
        expect(event.id, token).to.equal(undefined)
        expect(event.responseTo, token).to.equal(undefined)
        expect(event.malformed, token).to.equal(undefined)
      }
      const longest = 'c4fe' + '61'.repeat(254)
      expect(one(`93 81 ${messageId} ${longest} a16d c0`).id).to.have.length(256)
      expect(one(`93 81 ${messageId} c4ff${'61'.repeat(255)} a16d c0`).id).to.equal(undefined)
      expect(one(`93 81 ${messageId} c50200${'61'.repeat(512)} a16d c0`).id).to.equal(undefined)
    })

    it('answers nothing where response_to is nil, as zerorpc-python takes it', () => {
      expect(one(`93 81 ${responseTo} c0 a16d c0`).responseTo).to.equal(undefined)
    })

    it('has the last of two equal header keys', () => {
      expect(one(`93 82 ${messageId} 01 ${messageId} 02 a16d c0`).id).to.equal('\x02')
      expect(one(`93 82 ${messageId} 01 ${messageId} 90 a16d c0`).id).to.equal(undefined)
      expect(one('93 82 a16101 a16102 a16d c0').headers['a']).to.equal(2)
    })

    it('has version 0 where v is absent or not an integer', () => {
      for (const [token, version] of [
        ['03', 3],
        ['cc02', 2],
        ['ff', -1],
        ['cf0000000000000003', 3],
        ['d30000000000000002', 2],
        ['cb4008000000000000', 0],
        ['a133', 0],
        ['c0', 0],
        ['9103', 0],
        ['cfffffffffffffffff', 0],
      ] as const) {
        expect(one(`93 81 a176 ${token} a16d c0`).version, token).to.equal(version)
      }
      expect(one('93 80 a16d c0').version).to.equal(0)
    })

    it('takes header keys and names that are bin for text, and passes over keys of other types', () => {
      const binKey = 'c40a' + utf8('message_id')
      const event = one(`93 86 ${binKey} 07 0102 c0a3616263 9101c0 8001 c40378797a 05 c4026f6b 9101`)
      expect(event).to.deep.include({ id: '\x07', name: 'ok', args: [1], malformed: undefined })
      expect(Object.keys(event.headers)).to.deep.equal(['xyz'])
    })

    it('drops zmqid and __proto__ from the header', () => {
      const event = one(`93 83 a5${utf8('zmqid')} 92c0c0 a9${utf8('__proto__')} 81a16101 a16b01 a16d c0`)
      expect(Object.keys(event.headers)).to.deep.equal(['k'])
      expect(event.malformed).to.equal(undefined)
    })

    it('may be written with longer array and map heads than it needs', () => {
      expect(one('dc0003 de0001 a176 03 a16d c0')).to.include({ version: 3, name: 'm' })
      expect(one('dd00000003 df00000001 a176 03 d9016d c0')).to.include({ version: 3, name: 'm' })
    })

    it('may be in a plain Uint8Array', () => {
      const bytes = new Uint8Array(bytesOf(`00 93 ${header} a16d 91c40101`)).subarray(1)
      const event = one(bytes)
      expect(event.args).to.deep.equal([Buffer.from([1])])
    })
  })

  describe('that cannot be read', () => {
    it('is answered with a reason, and nothing is delivered, where there is no header to go by', () => {
      const reasons: [string, string][] = [
        ['', 'empty'],
        ['c1', 'not msgpack'],
        ['05', 'not an array of 3'],
        ['80', 'not an array of 3'],
        [`92 ${header} a16d`, 'not an array of 3'],
        [`94 ${header} a16d c0 c0`, 'not an array of 3'],
        ['dc0004 80 a16d c0 c0', 'not an array of 3'],
        ['dc00', 'truncated'],
        ['93', 'truncated'],
        ['93 90 a16d c0', 'header is not a map'],
        ['93 c0 a16d c0', 'header is not a map'],
        ['93 de00', 'truncated'],
        ['93 81', 'truncated'],
        ['93 81 a176', 'truncated'],
        ['93 81 a57600', 'truncated'],
        [`93 81 ${messageId} c420 6161`, 'truncated'],
        [`93 81 ${messageId} c4`, 'truncated'],
        [`93 81 ${messageId} c1 a16d c0`, 'not msgpack'],
        ['93 81 a161 c1 a16d c0', 'not msgpack'],
        ['93 81 a1ff 01 a16d c0', 'text is not UTF-8'],
        ['93 81 a161 a1ff a16d c0', 'text is not UTF-8'],
        ['93 81 a161 dd01ffffff a16d c0', 'too many nodes'],
        [`93 de0101 ${'0101'.repeat(257)} a16d c0`, 'too many header keys'],
        [`93 81 a161 ${'91'.repeat(101)}c0 a16d c0`, 'too deep'],
      ]
      for (const [hex, reason] of reasons) {
        expect(read(hex), hex).to.deep.equal({ events: [], reason })
      }
    })

    it('is delivered as malformed where the header is good, so that it can be answered', () => {
      const cases: [args: string, malformed: string, reason: string | undefined][] = [
        ['', 'truncated', 'truncated'],
        ['a16d', 'truncated', 'truncated'],
        ['a26d', 'truncated', 'truncated'],
        ['c1', 'truncated', 'truncated'],
        ['c100', 'not msgpack', 'not msgpack'],
        ['a16d 9201', 'truncated', 'truncated'],
        ['a16d c1', 'truncated', 'truncated'],
        ['a16d c100', 'not msgpack', 'not msgpack'],
        ['a16d 91c180', 'not msgpack', 'not msgpack'],
        ['a16d 91c121', 'not msgpack', 'not msgpack'],
        ['a16d 91c1a1', 'not msgpack', 'not msgpack'],
        ['a16d 91c101', 'truncated', 'truncated'],
        ['a16d 91c181a161', 'truncated', 'truncated'],
        [`a16d ${'91'.repeat(101)}c0`, 'too deep', 'too deep'],
        ['a16d 91a1ff', 'text is not UTF-8', 'text is not UTF-8'],
        ['a16d dd01ffffff', 'too many nodes', 'too many nodes'],
        ['a16d c603000000', 'truncated', 'truncated'],
        ['a1ff 9101', 'name is not UTF-8', undefined],
        ['05 9101', 'name is neither text nor bytes', undefined],
        ['90 9101', 'name is neither text nor bytes', undefined],
      ]
      for (const [rest, malformed, reason] of cases) {
        const { events, reason: seen } = read(`93 ${header} ${rest}`)
        expect(seen, rest).to.equal(reason)
        expect(events, rest).to.have.length(1)
        expect(events[0], rest).to.include({ malformed, args: undefined, version: 3 })
        expect(events[0]!.id, rest).to.have.length(34)
      }
    })

    it('does not stop the events after it, where its end is known', () => {
      const { events, reason } = read(`93 ${header} a16d 9181a95f5f70726f746f5f5f01 93 ${header} a16e 9102`)
      expect(reason).to.equal(undefined)
      expect(events.map(({ name, malformed }) => [name, malformed === undefined])).to.deep.equal([
        ['m', false],
        ['n', true],
      ])
    })

    it('is malformed for a header value that JavaScript cannot have', () => {
      const { events } = read(`93 82 ${messageId} 01 a161 81a95f5f70726f746f5f5f01 a16d c0`)
      expect(events[0]).to.include({ id: '\x01', name: 'm' })
      expect(events[0]!.malformed).to.match(/__proto__/)
    })
  })

  describe('among others in a frame', () => {
    it('is delivered in order, each once, up to the first that cannot be followed', () => {
      const writer = new EventWriter()
      for (let index = 0; index < 50; index++) writer.write({ id: '\x01' }, 'STREAM', { index })
      const bytes = writer.take()
      expect(read(bytes).events.map(({ args }) => args)).to.deep.equal(
        Array.from({ length: 50 }, (_, index) => ({ index })),
      )
      const { events, reason } = read(Buffer.concat([bytes, Buffer.from([0xc1])]))
      expect(events).to.have.length(50)
      expect(reason).to.equal('not msgpack')
    })

    it('can be read while the sink reads another frame with the same reader', () => {
      const reader = new EventReader()
      const bytes = bytesOf('9380a1619101 9380a1629102')
      const names: string[] = []
      reader.read(bytes, ({ name }) => {
        names.push(name)
        if (names.length === 1)
          reader.read(bytesOf('9380a16391cb3ff8000000000000 9380a164c0'), (e) => names.push(e.name))
      })
      expect(names).to.deep.equal(['a', 'c', 'd', 'b'])
    })

    it('does not hold the memory of the frame by a view on its bytes', () => {
      const writer = new EventWriter()
      for (let index = 0; index < 9; index++) writer.write({ id: '\x01' }, 'm', [Buffer.alloc(100, index)])
      const { events } = read(writer.take())
      for (const [index, { args }] of events.entries()) {
        expect(args).to.deep.equal([Buffer.alloc(100, index)])
        expect(args).to.have.nested.property('[0].buffer.byteLength').that.is.at.most(120)
      }
    })

    it('says whether anything of the last frame is a view of its memory', () => {
      const reader = new EventReader()
      const lends = (...args: unknown[]): boolean => {
        const writer = new EventWriter()
        for (const value of args) writer.write({ id: '\x01' }, 'm', value)
        reader.read(writer.take(), () => undefined)
        return reader.lends
      }
      expect(lends([1, 'text', { a: [null] }])).to.equal(false)
      expect(lends([Buffer.alloc(1000)])).to.equal(true)
      // Copied, for it would hold the whole frame.
      expect(lends([Buffer.alloc(1000)], ['x'.repeat(3000)])).to.equal(false)
      expect(lends([Buffer.alloc(3000)], ['x'.repeat(100)])).to.equal(true)
      expect(lends([2n ** 60n])).to.equal(false)
      expect(lends([Buffer.alloc(1000)])).to.equal(true)
      reader.read(Buffer.alloc(0), () => undefined)
      expect(reader.lends).to.equal(false)
    })

    it('says so of its own frame, whatever the sink reads meanwhile', () => {
      const reader = new EventReader()
      const [plain, bytes] = [[1], [Buffer.alloc(1000)]].map((args) => {
        const writer = new EventWriter()
        writer.write({ id: '\x01' }, 'm', args)
        return writer.take()
      })
      reader.read(bytes!, () => void reader.read(plain!, () => undefined))
      expect(reader.lends).to.equal(true)
      reader.read(plain!, () => void reader.read(bytes!, () => undefined))
      expect(reader.lends).to.equal(false)
    })

    it('leaves no id, name or text that changes with the memory of the frame', () => {
      const bytes = bytesOf(`93 83 ${messageId} ${id32} a17603 a161 a3787878 a3616464 92a3797979 81a16ba17a`)
      const before = one(bytes)
      const copy = JSON.stringify({ ...before, headers: { ...before.headers } })
      bytes.fill(0)
      expect(JSON.stringify({ ...before, headers: { ...before.headers } })).to.equal(copy)
    })
  })

  describe('as it is written', () => {
    it('is byte for byte what zerorpc-python writes', () => {
      const writer = new EventWriter()
      const id = Buffer.from(id32, 'hex').toString('latin1')
      const size = writer.write({ id }, 'add', [1, 4])
      expect(size).to.equal(writer.byteLength)
      expect(writer.take().toString('hex')).to.equal(`9382${messageId}${id32}a17603a3616464920104`)
      writer.write({ id, responseTo: id }, 'OK', [5])
      expect(writer.take().toString('hex')).to.equal(
        `9383${messageId}${id32}a17603${responseTo}${id32}a24f4b9105`,
      )
    })

    it('has no message_id where it is given none', () => {
      const writer = new EventWriter()
      writer.write({ id: undefined, responseTo: '\x05' }, 'OK', [1])
      expect(writer.take().toString('hex')).to.equal(`9382a17603${responseTo}05a24f4b9101`)
    })

    it('carries further header keys after the own ones, in their order, without those that are undefined', () => {
      const writer = new EventWriter()
      writer.write({ id: '\x01', extra: { b: 'x', u: undefined, a: null, c: { d: [1.5] } } }, 'm', null)
      expect(writer.take().toString('hex')).to.equal(
        `9385${messageId}01a17603a162a178a161c0a16381a16491cb3ff8000000000000a16dc0`,
      )
    })

    it('has a longer map head from 16 header keys on', () => {
      const extra = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`key-${index}`, index]))
      const writer = new EventWriter()
      writer.write({ id: '\x01', responseTo: '\x02', extra }, 'm', null)
      const event = one(writer.take())
      expect({ ...event.headers }).to.deep.equal(extra)
      expect(event).to.include({ id: '\x01', responseTo: '\x02', version: 3 })
      const tooMany = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`key-${index}`, index]))
      expect(codeOf(() => writer.write({ id: '\x01', extra: tooMany }, 'm', null))).to.equal(
        'ZASK_WIRE_TOO_LARGE',
      )
    })

    it("refuses header keys that are the wire's own, and names the key of a value it cannot send", () => {
      const writer = new EventWriter()
      for (const key of ['message_id', 'v', 'response_to', 'zmqid']) {
        expect(codeOf(() => writer.write({ id: '\x01', extra: { [key]: 1 } }, 'm', null))).to.equal(
          'ZASK_WIRE_NOT_ENCODABLE',
        )
      }
      expect(() => writer.write({ id: '\x01', extra: { trace: { a: () => 1 } } }, 'm', null)).to.throw(
        ZaskError,
        /Cannot send header\.trace\.a: it is a function/,
      )
    })

    it('leaves the writer exactly as before when it is refused', () => {
      const writer = new EventWriter({ maxBytes: 1000 })
      writer.write({ id: '\x01' }, 'a', [1])
      const { byteLength } = writer
      expect(codeOf(() => writer.write({ id: '\x01' }, 'b', [new Set()]))).to.equal('ZASK_WIRE_NOT_ENCODABLE')
      expect(codeOf(() => writer.write({ id: '\x01' }, 'b', ['x'.repeat(1000)]))).to.equal(
        'ZASK_WIRE_TOO_LARGE',
      )
      expect(codeOf(() => writer.write({ id: '\x01' }, 'b', [{ a: 'x'.repeat(990) }]))).to.equal(
        'ZASK_WIRE_TOO_LARGE',
      )
      expect(codeOf(() => writer.write({ id: '\x01' }, 'x'.repeat(1000), null))).to.equal(
        'ZASK_WIRE_TOO_LARGE',
      )
      expect(writer).to.include({ byteLength, count: 1 })
      writer.write({ id: '\x01' }, 'c', [3])
      expect(writer.count).to.equal(2)
      expect(read(writer.take()).events.map(({ name }) => name)).to.deep.equal(['a', 'c'])
    })

    it('refuses what a getter of the event does to the writer', () => {
      const writer = new EventWriter()
      const nested = {
        get now(): number {
          return writer.write({ id: '\x01' }, 'inner', [1])
        },
      }
      expect(codeOf(() => writer.write({ id: '\x01' }, 'outer', [nested]))).to.equal(
        'ZASK_WIRE_NOT_ENCODABLE',
      )
      const taker = {
        get now(): number {
          return writer.take().length
        },
      }
      expect(codeOf(() => writer.write({ id: '\x01' }, 'outer', [taker]))).to.equal('ZASK_WIRE_NOT_ENCODABLE')
      expect(writer.count).to.equal(0)
      writer.write({ id: '\x01' }, 'after', [1])
      expect(read(writer.take()).events.map(({ name }) => name)).to.deep.equal(['after'])
    })

    it('is handed over in memory that is not written again', () => {
      const writer = new EventWriter()
      const taken: { bytes: Buffer; hex: string }[] = []
      for (let index = 0; index < 2000; index++) {
        writer.write({ id: '\x01' }, 'm', [index, 'x'.repeat(index % 300)])
        if (index % 3 === 0) {
          const bytes = writer.take()
          taken.push({ bytes, hex: bytes.toString('hex') })
          expect(writer).to.include({ byteLength: 0, count: 0 })
        }
      }
      for (const { bytes, hex } of taken) expect(bytes.toString('hex')).to.equal(hex)
      expect(new EventWriter().take()).to.have.length(0)
    })

    it('can be much larger than the ones before it', () => {
      const writer = new EventWriter()
      const big = 'é'.repeat(2_000_000)
      writer.write({ id: '\x01' }, 'a', ['before'])
      writer.write({ id: '\x01' }, 'b', [{ big }])
      writer.write({ id: '\x01' }, 'c', ['after'])
      const { events } = read(writer.take())
      expect(events.map(({ args }) => args)).to.deep.equal([['before'], [{ big }], ['after']])
    })
  })

  describe('at its limits', () => {
    const limits = { maxBytes: 2000, maxDepth: 5, maxNodes: 100 }

    it('may have maxBytes and not one more, both ways', () => {
      const writer = new EventWriter()
      const fill = (size: number): Buffer => {
        const overhead = new EventWriter().write({ id: '\x01' }, 'm', [{ a: 'x'.repeat(1000) }]) - 1000
        writer.write({ id: '\x01' }, 'm', [{ a: 'x'.repeat(size - overhead) }])
        return writer.take()
      }
      expect(fill(2000)).to.have.length(2000)
      expect(read(fill(2000), limits).events[0]).to.include({ malformed: undefined })
      const { events, reason } = read(Buffer.concat([fill(2001), fill(50)]), limits)
      expect(reason).to.equal(undefined)
      expect(events.map(({ malformed }) => malformed)).to.deep.equal(['too large', undefined])
      const limited = new EventWriter(limits)
      expect(limited.write({ id: '\x01' }, 'm', [{ a: 'x'.repeat(1900) }])).to.be.at.most(2000)
      expect(() => limited.write({ id: '\x01' }, 'm', [{ a: 'x'.repeat(1990) }])).to.throw(
        ZaskError,
        /takes \d{4} bytes, the limit is 2000 \(maxEventBytes\)/,
      )
      expect(() => limited.write({ id: '\x01' }, 'm', [{ a: 'x'.repeat(5000) }])).to.throw(
        ZaskError,
        /takes at least \d{4} bytes, the limit is 2000/,
      )
      expect(read(Buffer.alloc(2000 + 64 * 1024 + 1, 0x93), limits)).to.deep.equal({
        events: [],
        reason: 'too large',
      })
    })

    it('may have maxNodes elements and not one more, both ways', () => {
      const writer = new EventWriter()
      const bytes = (value: unknown): Buffer => {
        writer.write({ id: '\x01' }, 'm', value)
        return writer.take()
      }
      expect(read(bytes(list(100)), limits).events[0]!.args).to.have.length(100)
      expect(read(bytes(list(101)), limits)).to.deep.include({ reason: 'too many nodes' })
      expect(read(bytes([list(50), list(48)]), limits).reason).to.equal(undefined)
      expect(read(bytes([list(50), list(49)]), limits).reason).to.equal('too many nodes')
      const limited = new EventWriter(limits)
      limited.write({ id: '\x01' }, 'm', [list(50), list(48)])
      expect(() => limited.write({ id: '\x01' }, 'm', list(101))).to.throw(
        ZaskError,
        /has at least 101 elements, the limit is 100 \(maxNodes\)/,
      )
      expect(() => limited.write({ id: '\x01' }, 'm', [list(50), list(50)])).to.throw(ZaskError, /maxNodes/)
    })

    it('may have maxDepth levels and not one more, both ways', () => {
      const nested = (levels: number): unknown => (levels === 1 ? [1.5] : [nested(levels - 1)])
      const writer = new EventWriter()
      writer.write({ id: '\x01' }, 'm', nested(6))
      expect(read(writer.take(), limits).reason).to.equal('too deep')
      const limited = new EventWriter(limits)
      limited.write({ id: '\x01' }, 'm', nested(5))
      expect(read(limited.take(), limits).reason).to.equal(undefined)
      expect(() => limited.write({ id: '\x01' }, 'm', nested(6))).to.throw(ZaskError, /more than 5 levels/)
    })

    it('does not let a frame of small events cost more than a large event and its company', () => {
      const { reason, events: seen } = read(Buffer.alloc(4 * 100_000, bytesOf('9380a0c0')))
      expect(reason).to.equal('too many events')
      expect(seen.length).to.equal(4096)
      const [fewer, args] = [1100, [[Array.from({ length: 348 }, () => 0)]]]
      const writer = new EventWriter()
      for (let event = 0; event < fewer; event++) writer.write({ id: '\x01' }, 'm', args)
      const large = read(writer.take())
      expect(large.reason).to.equal('too many nodes')
      expect(large.events.length).to.be.within(1030, fewer - 1)
    })
  })

  describe('that is a bomb', () => {
    // Each in a process of its own with little memory: decoding most of these unguarded ends the process.
    const module = new URL('../../../core/wire/event.ts', import.meta.url).href
    const bombs: Record<string, { bytes: string; reason: RegExp }> = {
      'an array of 4 G': { bytes: "'ddffffffff'", reason: /too many nodes/ },
      'an array of 33 M': { bytes: "'dd01ffffff'", reason: /too many nodes/ },
      '100 arrays of 33 M': { bytes: "'dd01ffffff'.repeat(100)", reason: /too many nodes/ },
      'arrays of 1 M nested 1,000 times': { bytes: "'dd000fffff'.repeat(1000)", reason: /too many nodes/ },
      'arrays of 65,535 nested 20,000 times': { bytes: "'dcffff'.repeat(20000)", reason: /truncated|too/ },
      'arrays of 10,000 nested 65,536 times': { bytes: "'dc2710'.repeat(65536)", reason: /truncated|too/ },
      '64 arrays that each claim all the rest': {
        bytes:
          "Array.from({ length: 64 }, (_, i) => 'dd' + (1048000 - i * 5).toString(16).padStart(8, '0')).join('') + 'c0'.repeat(1048000)",
        reason: /truncated|too many nodes/,
      },
      '8 arrays of 30,000 that each claim all the rest': {
        bytes: "'dc7530'.repeat(8) + 'c0'.repeat(30000)",
        reason: /truncated/,
      },
      'a map of 4 G': { bytes: "'dfffffffff'", reason: /too many nodes/ },
      'a text of 4 G': { bytes: "'dbffffffff'", reason: /truncated/ },
      'a bin of 4 G': { bytes: "'c6ffffffff'", reason: /truncated/ },
      'an ext of 4 G': { bytes: "'c9ffffffff01'", reason: /truncated/ },
      '100,000 levels': { bytes: "'91'.repeat(100000) + 'c0'", reason: /too deep/ },
      '7 M levels': { bytes: "'91'.repeat(7000000) + 'c0'", reason: /too deep/ },
      '7 M levels of maps': { bytes: "'81a0'.repeat(3000000) + 'c0'", reason: /too deep/ },
      'a map of 1 M keys': {
        bytes:
          "'df000aae60' + Array.from({ length: 700000 }, (_, i) => 'a7' + Buffer.from(String(i).padStart(7, '0')).toString('hex') + 'c0').join('')",
        reason: /too many nodes/,
      },
      '4 M empty maps': { bytes: "'dd003d0900' + '80'.repeat(4000000)", reason: /too many nodes/ },
      'more than a frame may have': { bytes: "'c0'.repeat(9000000)", reason: /too large/ },
    }

    it('costs its own bytes and no more, as args, as name and in the header', function () {
      this.timeout(60_000)
      const script = `
        import { EventReader } from ${JSON.stringify(module)}
        const bombs = { ${Object.entries(bombs)
          .map(([name, { bytes }]) => `${JSON.stringify(name)}: () => ${bytes}`)
          .join(',\n')} }
        const results = {}
        for (const [name, hex] of Object.entries(bombs)) {
          const bomb = Buffer.from(hex(), 'hex')
          results[name] = ['9380a16d', '9380', '9381a161', ''].map((head) => {
            const bytes = Buffer.concat([Buffer.from(head, 'hex'), bomb])
            const reader = new EventReader()
            let events = 0
            const before = process.memoryUsage()
            const reason = reader.read(bytes, () => { events++ })
            const after = process.memoryUsage()
            const grown = after.heapUsed + after.external - before.heapUsed - before.external
            return { reason, events, grown }
          })
        }
        console.log(JSON.stringify(results))`
      const child = spawnSync(
        process.execPath,
        ['--max-old-space-size=128', '--input-type=module', '--eval', script],
        { encoding: 'utf8' },
      )
      expect(child.stderr).to.equal('')
      expect(child.status).to.equal(0)
      const results: Record<string, { reason: string; events: number; grown: number }[]> = JSON.parse(
        child.stdout,
      )
      expect(Object.keys(results)).to.deep.equal(Object.keys(bombs))
      for (const [name, [asArgs, ...others]] of Object.entries(results)) {
        expect(asArgs!.reason, name).to.match(bombs[name]!.reason)
        if (asArgs!.reason !== 'too large') expect(asArgs!.events, name).to.equal(1)
        for (const result of [asArgs!, ...others]) {
          expect(result.reason, name).to.be.a('string')
          expect(result.grown, name).to.be.below(4 * 1024 * 1024)
        }
      }
    })

    it('costs little more than its bytes where it keeps within the limits', () => {
      const maps = 249_000
      const bytes = Buffer.concat([
        bytesOf('9380a16ddd' + maps.toString(16).padStart(8, '0')),
        Buffer.alloc(maps, 0x80),
      ])
      const { events, reason } = read(bytes, defaultLimits)
      expect(reason).to.equal(undefined)
      expect(events[0]!.args).to.have.length(maps)
    })
  })
})

describe('an id source', () => {
  it('makes ids in the shape of zerorpc-python: a bin of 32 hex digits, 8 of a counter and 24 that stay', () => {
    const ids = new IdSource()
    const made = Array.from({ length: 70_000 }, () => ids.next())
    for (const id of made) expect(id).to.match(/^\xc4 [0-9a-f]{32}$/)
    expect(new Set(made).size).to.equal(made.length)
    const [first, second] = made
    const isNext = counterOf(second!) === counterOf(first!) + 1
    expect(isNext || second!.slice(10) !== first!.slice(10)).to.equal(true)
  })

  it('makes short ids as bins of 7 bytes, that count', () => {
    const ids = new IdSource()
    const made = Array.from({ length: 70_000 }, () => ids.nextShort())
    const values = made.map((id) => {
      expect(id.length).to.equal(9)
      const bytes = Buffer.from(id, 'latin1')
      expect(bytes.readUInt16BE()).to.equal(0xc407)
      return bytes.readUIntBE(3, 6)
    })
    for (const [index, value] of values.entries()) expect(value - values[0]!).to.equal(index)
    const writer = new EventWriter()
    writer.write({ id: made[300] }, 'm', [])
    expect(one(writer.take()).id).to.equal(made[300])
  })

  it('makes ids that another source does not make', () => {
    const tails = Array.from({ length: 100 }, () => new IdSource().next().slice(10))
    expect(new Set(tails).size).to.equal(100)
  })
})
