import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { EventReader, EventWriter, type Event } from '../../../core/wire/event.ts'
import { ZaskError } from '../../../core/errors.ts'

/** The bytes args become, as hex. */
function sent(args: unknown): string {
  const writer = new EventWriter()
  writer.write({ id: '\x01' }, 'm', args)
  const hex = writer.take().toString('hex')
  const head = '9382aa6d6573736167655f696401a17603a16d'
  expect(hex.slice(0, head.length)).to.equal(head)
  return hex.slice(head.length)
}

function refusal(args: unknown): ZaskError {
  const writer = new EventWriter()
  try {
    writer.write({ id: '\x01' }, 'm', args)
  } catch (error) {
    expect(writer.byteLength).to.equal(0)
    expect(writer.count).to.equal(0)
    if (error instanceof ZaskError) return error
    throw error
  }
  throw new Error('it was sent')
}

const named = (): void => undefined

function refused(args: unknown, pattern: RegExp): void {
  const error = refusal(args)
  expect(error.code).to.equal('ZASK_WIRE_NOT_ENCODABLE')
  expect(error.message).to.match(pattern)
}

function event(hex: string): Event {
  const events: Event[] = []
  const reason = new EventReader().read(Buffer.from('9381a17603a16d' + hex.replaceAll(' ', ''), 'hex'), (e) =>
    events.push(e),
  )
  expect(reason).to.equal(undefined)
  expect(events).to.have.length(1)
  return events[0]!
}

function received(hex: string): unknown {
  const { args, malformed } = event(hex)
  expect(malformed).to.equal(undefined)
  return args
}

const nested = (levels: number): unknown => {
  let value: unknown = []
  for (let level = 1; level < levels; level++) value = [value]
  return value
}

const sending: Record<string, () => void> = {
  '`null`, `undefined`'() {
    expect(sent(null)).to.equal('c0')
    expect(sent(undefined)).to.equal('c0')
    expect(sent([null, undefined])).to.equal('92c0c0')
  },
  '`true`, `false`'() {
    expect(sent([true, false])).to.equal('92c3c2')
    expect(sent({ a: true, b: false })).to.equal('82a161c3a162c2')
  },
  'number, an integer up to 64 bits'() {
    const rows: [number, string][] = [
      [0, '00'],
      [-0, '00'],
      [127, '7f'],
      [128, 'cc80'],
      [255, 'ccff'],
      [256, 'cd0100'],
      [65535, 'cdffff'],
      [65536, 'ce00010000'],
      [2 ** 31, 'ce80000000'],
      [2 ** 32 - 1, 'ceffffffff'],
      [2 ** 32, 'cf0000000100000000'],
      [2 ** 53 - 1, 'cf001fffffffffffff'],
      [2 ** 53, 'cf0020000000000000'],
      [2 ** 63, 'cf8000000000000000'],
      [2 ** 64 - 2048, 'cffffffffffffff800'],
      [-1, 'ff'],
      [-32, 'e0'],
      [-33, 'd0df'],
      [-128, 'd080'],
      [-129, 'd1ff7f'],
      [-32768, 'd18000'],
      [-32769, 'd2ffff7fff'],
      [-(2 ** 31), 'd280000000'],
      [-(2 ** 31) - 1, 'd3ffffffff7fffffff'],
      [-(2 ** 63), 'd38000000000000000'],
    ]
    for (const [value, hex] of rows) {
      expect(sent(value), `${value}`).to.equal(hex)
      expect(sent([value]), `[${value}]`).to.equal('91' + hex)
      expect(sent({ a: [value, 1.5] }), `{a:[${value}]}`).to.equal(`81a16192${hex}cb3ff8000000000000`)
      // Beside a BigInt the encoder is another one.
      expect(sent([2n ** 64n - 1n, value]), `[big, ${value}]`).to.equal('92cfffffffffffffffff' + hex)
    }
  },
  'number, an integer beyond 64 bits'() {
    expect(sent(2 ** 64)).to.equal('cb43f0000000000000')
    expect(sent(-(2 ** 64))).to.equal('cbc3f0000000000000')
    expect(sent([2 ** 64, 2n ** 63n])).to.equal('92cb43f0000000000000cf8000000000000000')
  },
  'number with a fraction, `NaN`, `Infinity`'() {
    expect(sent([1.5, -0.25])).to.equal('92cb3ff8000000000000cbbfd0000000000000')
    expect(sent([Infinity, -Infinity])).to.equal('92cb7ff0000000000000cbfff0000000000000')
    expect(received(sent([Number.NaN]))).to.deep.equal([Number.NaN])
  },
  'BigInt up to 64 bits'() {
    expect(sent([5n, -1n, 300n])).to.equal('9305ffcd012c')
    expect(sent(2n ** 53n - 1n)).to.equal('cf001fffffffffffff')
    expect(sent({ a: 2n ** 64n - 1n })).to.equal('81a161cfffffffffffffffff')
    expect(sent([-(2n ** 63n), 1_700_000_000_000])).to.equal('92d38000000000000000cf0000018bcfe56800')
  },
  'BigInt beyond 64 bits'() {
    refused([2n ** 64n], /Cannot send \[0\]: it is the BigInt 18446744073709551616\. .*as text/)
    refused([-(2n ** 63n) - 1n], /BigInt/)
  },
  string() {
    expect(sent('')).to.equal('a0')
    expect(sent('héllo ☃')).to.equal('aa68c3a96c6c6f20e29883')
    expect(sent('a'.repeat(31))).to.equal('bf' + '61'.repeat(31))
    expect(sent('a'.repeat(32))).to.equal('d920' + '61'.repeat(32))
    expect(sent(['a'.repeat(256)])).to.equal('91da0100' + '61'.repeat(256))
    expect(sent(['é'.repeat(16)])).to.equal('91d920' + 'c3a9'.repeat(16))
    expect(sent({ a: 'a'.repeat(65536) })).to.equal('81a161db00010000' + '61'.repeat(65536))
    expect(sent('a\ud800b')).to.equal('a561efbfbd62')
    expect(sent({ k: ['a\udc00'] })).to.equal('81a16b91a461efbfbd')
    expect(sent({ 'k\ud800': 1 })).to.equal('81a46befbfbd01')
    expect(sent('😀')).to.equal('a4f09f9880')
  },
  '`Buffer`, typed array, `DataView`, `ArrayBuffer`'() {
    expect(sent([Buffer.from([1, 2])])).to.equal('91c4020102')
    expect(sent(new Uint8Array([1, 2]))).to.equal('c4020102')
    expect(sent(new Uint16Array([1, 2]))).to.equal('c40401000200')
    expect(sent(new DataView(new Uint8Array([9, 8, 7]).buffer, 1))).to.equal('c4020807')
    expect(sent([new Uint8Array([1, 2]).buffer])).to.equal('91c4020102')
    expect(sent(Buffer.alloc(256))).to.equal('c50100' + '00'.repeat(256))
    expect(sent(Buffer.alloc(65536))).to.equal('c600010000' + '00'.repeat(65536))
  },
  '`Date`'() {
    expect(sent([new Date(0)])).to.equal('91d6ff00000000')
    expect(sent(new Date(1_500))).to.equal('d7ff7735940000000001')
    expect(sent(new Date(-1))).to.equal('c70cff3b8b87c0ffffffffffffffff')
    const foreign: unknown = runInNewContext('new Date(1500)')
    expect(sent([foreign])).to.equal('91d7ff7735940000000001')
    for (const time of [0, 1, 999, 1_792_000_000_123, -1, -62_135_596_800_000, 8.64e15, -8.64e15]) {
      expect(received(sent([new Date(time)]))).to.deep.equal([new Date(time)])
    }
  },
  'Invalid Date'() {
    refused([{ at: new Date(Number.NaN) }], /\[0\]\.at: it is an Invalid Date/)
  },
  array() {
    expect(sent([])).to.equal('90')
    expect(sent([[1], [[]]])).to.equal('9291019190')
    expect(sent(Array.from({ length: 16 }, () => 1))).to.equal('dc0010' + '01'.repeat(16))
    expect(sent(Array.from({ length: 65536 }, () => 1))).to.equal('dd00010000' + '01'.repeat(65536))
    const holed: unknown[] = [1]
    holed[2] = 3
    expect(sent(holed)).to.equal('9301c003')
    class Odd extends Array<number> {
      override *[Symbol.iterator](): ArrayIterator<number> {
        yield 9
      }
    }
    expect(sent(Odd.from([1, 2]))).to.equal('920102')
  },
  'plain object, instance of a class'() {
    expect(sent({})).to.equal('80')
    expect(sent({ b: 1, a: [2] })).to.equal('82a16201a1619102')
    expect(sent(Object.assign(Object.create(null), { a: 1 }))).to.equal('81a16101')
    expect(sent({ a: undefined })).to.equal('81a161c0')
    class Point {
      x = 1
      #hidden = 2
      get y(): number {
        return this.#hidden
      }
      toJSON(): string {
        return 'no'
      }
    }
    expect(sent([new Point()])).to.equal('9181a17801')
    expect(
      sent({
        get now() {
          return 3
        },
      }),
    ).to.equal('81a36e6f7703')
    expect(sent({ [Symbol('s')]: 1, a: 1 })).to.equal('81a16101')
    const many = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`k${index + 10}`, 0]))
    expect(sent(many).slice(0, 6)).to.equal('de0010')
  },
  '`Map` whose keys are text'() {
    expect(sent([new Map<string, unknown>([['a', new Map([['b', 1]])]])])).to.equal('9181a16181a16201')
    expect(sent(new Map())).to.equal('80')
    expect(sent([runInNewContext('new Map([["a", 1]])')])).to.equal('9181a16101')
  },
  '`Map` with any other key'() {
    refused([new Map([[1, 2]])], /\[0\]: it is a Map with the key 1, which is not text\. A Python peer drops/)
    refused({ m: new Map([[{}, 2]]) }, /m: it is a Map with the key object/)
    refused([new Map([[null, 2]])], /Map with the key/)
  },
  'object or `Map` with a key `__proto__`'() {
    refused([JSON.parse('{"__proto__": 1}')], /\[0\]\.__proto__: it is an object with a key __proto__/)
    refused([new Map([['__proto__', {}]])], /__proto__/)
  },
  'boxed `String`, `Number`, `Boolean`'() {
    expect(sent([Object('x'), Object(5), Object(true)])).to.equal('93a17805c3')
  },
  'ext of a type other than -1, as it was received'() {
    const ext = received('c7 03 05 010203')
    expect(sent([ext])).to.equal('91c70305010203')
    expect(sent({ a: [ext, 2n ** 63n] })).to.equal('81a16192c70305010203cf8000000000000000')
  },
  '`Set`, `WeakMap`, `WeakSet`'() {
    refused([{ user: { tags: new Set([1]) } }], /Cannot send \[0\]\.user\.tags: it is a Set\. Send an array/)
    refused([new WeakMap()], /a WeakMap/)
    refused([new WeakSet()], /a WeakSet/)
    refused([runInNewContext('new Set()')], /a Set/)
    refused([Object.assign(new Set(), { own: 1 })], /a Set/)
  },
  '`Error`, `Promise`, `RegExp`'() {
    refused([new TypeError('x')], /\[0\]: it is an Error \(TypeError\)/)
    refused([Object.assign(new Error('x'), { code: 1 })], /an Error/)
    refused([Promise.resolve(1)], /a Promise\. Await it/)
    refused([/x/], /a RegExp/)
  },
  'function, symbol'() {
    refused([() => 1], /\[0\]: it is a function/)
    refused({ 'odd key': { f: named } }, /\["odd key"\]\.f: it is a function \(named\)/)
    refused(Symbol('s'), /the value: it is a symbol/)
    refused([Object(Symbol('s'))], /a symbol/)
  },
  'object of a built-in class without enumerable properties (`URL`, iterators and the like)'() {
    refused([new URL('http://a.b')], /a URL/)
    refused([[1].values()], /Iterator/)
    refused(
      [
        (function* () {
          yield 1
        })(),
      ],
      /a Generator/,
    )
  },
  'object that contains itself'() {
    const loop: { a: { b: unknown[] } } = { a: { b: [] } }
    loop.a.b.push(loop)
    refused([loop], /Cannot send \[0\]\.a\.b\[0\]: it is an object that contains itself/)
    const list: unknown[] = []
    list.push(list)
    refused(list, /contains itself/)
  },
  'more than 100 arrays and objects within each other'() {
    expect(received(sent(nested(100)))).to.deep.equal(nested(100))
    refused(nested(101), /it is more than 100 levels \(maxDepth\)/)
    expect(() => sent([nested(99), { a: 1 }])).not.to.throw()
  },
  'getter or proxy that throws'() {
    const bad = {
      get broken(): number {
        throw new Error('boom')
      },
    }
    refused([{ bad }], /reading it failed \(boom\)/)
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    refused([proxy], /reading it failed/)
    refused(proxy, /reading it failed/)
    const liar = new Proxy([], { get: (target, key) => (key === 'length' ? 3 : Reflect.get(target, key)) })
    expect(() => sent(liar)).not.to.throw(TypeError)
  },
}

const receiving: Record<string, () => void> = {
  nil() {
    expect(received('c0')).to.equal(null)
    expect(received('92 c0 cb3ff8000000000000')).to.deep.equal([null, 1.5])
  },
  bool() {
    expect(received('92 c3 c2')).to.deep.equal([true, false])
  },
  'int or uint within ±(2^53 - 1)'() {
    const rows: [string, number][] = [
      ['00', 0],
      ['7f', 127],
      ['ff', -1],
      ['e0', -32],
      ['ccff', 255],
      ['cdffff', 65535],
      ['ceffffffff', 4294967295],
      ['cf0000000000000005', 5],
      ['cf001fffffffffffff', 2 ** 53 - 1],
      ['d0ff', -1],
      ['d180ff', -32513],
      ['d280000000', -(2 ** 31)],
      ['d3ffe0000000000001', -(2 ** 53) + 1],
      ['d30000000000000007', 7],
    ]
    for (const [hex, value] of rows) {
      expect(received(hex), hex).to.equal(value)
      expect(received('91' + hex), hex).to.deep.equal([value])
      expect(received('92 cfffffffffffffffff' + hex), hex).to.deep.equal([2n ** 64n - 1n, value])
    }
  },
  'int or uint beyond'() {
    expect(received('cf0020000000000000')).to.equal(2n ** 53n)
    expect(received('cfffffffffffffffff')).to.equal(2n ** 64n - 1n)
    expect(received('d38000000000000000')).to.equal(-(2n ** 63n))
    expect(received('d3ffe0000000000000')).to.equal(-(2n ** 53n))
    expect(received('81 a161 92 d30020000000000000 cf0000000000000001')).to.deep.equal({ a: [2n ** 53n, 1] })
  },
  'float 32, float 64'() {
    expect(received('92 ca3fc00000 cb4008000000000000')).to.deep.equal([1.5, 3])
  },
  str() {
    expect(received('91 aa68c3a96c6c6f20e29883')).to.deep.equal(['héllo ☃'])
    for (const size of [0, 31, 32, 200, 201, 255, 256, 65536]) {
      const text = 'é'.repeat(size >> 1) + 'x'.repeat(size & 1)
      expect(received(sent(text)), `${size}`).to.equal(text)
      expect(received(sent({ a: text })), `${size}`).to.deep.equal({ a: text })
      // A byte order mark is part of the text, at whatever length.
      const marked = [
        1.5,
        '\ufeff' + text,
        { ['\ufeff' + text]: ['\ufeff' + text, '\ufeff\ufeff' + text] },
        text,
      ]
      expect(received(sent(marked)), `${size}`).to.deep.equal(marked)
    }
  },
  bin() {
    expect(received('92 c4020102 c400')).to.deep.equal([Buffer.from([1, 2]), Buffer.alloc(0)])
    expect(received('c50001ff')).to.deep.equal(Buffer.from([255]))
    expect(received('c600000001ff')).to.deep.equal(Buffer.from([255]))
  },
  'ext -1 (timestamp)'() {
    expect(received('91 d6ff00000001')).to.deep.equal([new Date(1000)])
    expect(received('d7ff7735940000000001')).to.deep.equal(new Date(1500))
    expect(received('c70cff3b8b87c0ffffffffffffffff')).to.deep.equal(new Date(-1))
  },
  'ext -1 with a wrong length or outside the range of `Date`'() {
    expect(event('91 d4ff00').malformed).to.match(/timestamp/)
    expect(event('c70cff000000007fffffffffffffff').malformed).to.match(/outside the range of Date/)
  },
  'any other ext'() {
    expect(received('91 d50d0102')).to.have.nested.property('[0].type', 13)
    expect(received('91 d50d0102')).to.have.deep.nested.property('[0].data', Buffer.from([1, 2]))
    expect(received('c80001fe09')).to.deep.include({ type: -2, data: Buffer.from([9]) })
  },
  array() {
    expect(received('93 01 90 9102')).to.deep.equal([1, [], [2]])
    expect(received('dc0001c0')).to.deep.equal([null])
    expect(received('dd00000001c0')).to.deep.equal([null])
  },
  'map with keys of text'() {
    expect(received('82 a16101 a16280')).to.deep.equal({ a: 1, b: {} })
    expect(received('82 a16101 a16102')).to.deep.equal({ a: 2 })
    expect(received('de0001a16101')).to.deep.equal({ a: 1 })
    expect(received('df00000001a16101')).to.deep.equal({ a: 1 })
    const odd = received('82 ab636f6e7374727563746f7201 a8746f537472696e6702')
    expect(odd).to.have.all.keys('constructor', 'toString')
  },
  'map with keys that are numbers'() {
    expect(received('83 0101 ff02 cb3ff800000000000003')).to.deep.equal({ 1: 1, '-1': 2, '1.5': 3 })
    expect(received('82 cfffffffffffffffff01 cf000000000000000502')).to.deep.equal({
      '18446744073709551615': 1,
      '5': 2,
    })
  },
  'map with any other key (bin, nil, bool)'() {
    for (const key of ['c40161', 'c0', 'c3', '90', '80']) {
      const { malformed, args } = event(`91 81 ${key} 01`)
      expect(malformed, key).to.match(/key that is neither text nor a number/)
      expect(args).to.equal(undefined)
    }
  },
  'map with a key `__proto__`'() {
    expect(event('91 81 a95f5f70726f746f5f5f 80').malformed).to.match(/__proto__/)
    expect(Object.hasOwn(Object.prototype, 'polluted')).to.equal(false)
  },
  'str that is not UTF-8'() {
    for (const hex of ['a1ff', 'a2c080', 'a3eda080', 'a180', 'd9c8' + '61'.repeat(199) + 'c3']) {
      const events: Event[] = []
      const bytes = Buffer.from('9381a17603a16d91' + hex, 'hex')
      expect(
        new EventReader().read(bytes, (e) => events.push(e)),
        hex,
      ).to.equal('text is not UTF-8')
      expect(events[0]?.malformed, hex).to.equal('text is not UTF-8')
    }
  },
  'keys of records by a number that the message does not have, or beside bytes, ext or larger integers'() {
    expect(event('c1010001').malformed).to.equal('maps without keys')
    for (const beside of ['c40100', 'd40107', 'cfffffffffffffffff'])
      expect(event(`92c181a16101${beside}`).malformed, beside).to.equal('maps without keys')
    expect(received('92c181a16101c1010002')).to.deep.equal([{ a: 1 }, { a: 2 }])
  },
}

/** The first cells of the rows of the table under a heading of the page. */
function rowsUnder(heading: string): string[] {
  const page = readFileSync(new URL('../../../docs/values.md', import.meta.url), 'utf8')
  const section = page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!
  return section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .slice(1)
    .map((line) => line.split(' | ')[0]!.slice(2))
}

describe('values on the wire', () => {
  for (const [row, check] of Object.entries(sending)) it(`sends: ${row}`, check)
  for (const [row, check] of Object.entries(receiving)) it(`receives: ${row}`, check)

  it('are in docs/values.md row by row as they are tested here', () => {
    expect(rowsUnder('Sent')).to.deep.equal(Object.keys(sending))
    expect(rowsUnder('Received')).to.deep.equal(Object.keys(receiving))
  })

  it('are the own properties of an object, whatever its prototype or all objects have besides', () => {
    const inherited: object = Object.create({ a: 1 }, { b: { value: 2, enumerable: true } })
    expect(sent([inherited])).to.equal('9181a16202')
    const prototype: object = Object.prototype
    const writer = new EventWriter()
    Object.defineProperty(prototype, 'everywhere', { value: 3, enumerable: true, configurable: true })
    try {
      writer.write({ id: '\x01' }, 'm', [{ b: 2 }, {}])
    } finally {
      // Before anything is expected: the library of the tests takes such a property for its own.
      Reflect.deleteProperty(prototype, 'everywhere')
    }
    expect(writer.take().toString('hex')).to.match(/a16d9281a1620280$/)
    expect(sent([{ b: 2 }])).to.equal('9181a16202')
  })

  it('are those that were announced, where a proxy or a getter has others the second time', () => {
    for (const second of [['a'], ['a', 'b', 'c'], ['__proto__', 'a'], []]) {
      let asked = 0
      const target = { a: 1, b: 2, c: 3 }
      const proxy = new Proxy(target, {
        ownKeys: () => (asked++ === 0 ? ['a', 'b'] : second),
        getOwnPropertyDescriptor: (_target, key) => ({
          value: Reflect.get(target, key) ?? 4,
          enumerable: true,
          configurable: true,
        }),
      })
      // Whatever it is taken for, it is one whole value, and the next one is read as it was sent.
      const writer = new EventWriter()
      try {
        writer.write({ id: '\x01' }, 'm', [proxy, 'next'])
      } catch (error) {
        expect(error).to.be.instanceOf(ZaskError)
        continue
      }
      const events: Event[] = []
      expect(new EventReader().read(writer.take(), (e) => events.push(e))).to.equal(undefined)
      expect(events[0]?.malformed).to.equal(undefined)
      expect(events[0]?.args).to.have.property('1', 'next')
    }
    const shrinking = {
      get a(): number {
        Reflect.deleteProperty(shrinking, 'b')
        return 1
      },
      b: 2,
    }
    expect(['81a16101', '82a16101a162c0']).to.include(sent(shrinking))
  })

  it('keep the reason and the place in the error, for whoever shows it', () => {
    const { details } = refusal([{ user: { tags: new Set() } }])
    expect(details).to.deep.equal({ path: '[0].user.tags', what: 'a Set' })
  })
})
