import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { ZaskError } from '../../../core/errors.ts'
import { type Event, EventReader, EventWriter } from '../../../core/wire/event.ts'
import { SentShapes } from '../../../core/wire/sent-shapes.ts'

/** More records than it takes until one is learned. */
const often = 40
const id = '\x01'

/** A writer that knows the keys of these records. */
function writerOf(...records: object[]): EventWriter {
  const known = new SentShapes()
  for (const record of records) for (let time = 0; time < often; time++) known.missed(record)
  return new EventWriter({}, known)
}

/** The message of one event for each of these args. */
function message(writer: EventWriter, ...values: unknown[]): Buffer {
  for (const args of values) writer.write({ id }, 'm', args, true)
  return writer.take()
}

function readAll(
  payload: Buffer,
  reader = new EventReader(),
): { events: Event[]; reason: string | undefined } {
  const events: Event[] = []
  const reason = reader.read(payload, (event) => events.push(event))
  return { events, reason }
}

const argsOf = (payload: Buffer, reader?: EventReader): unknown[] =>
  readAll(payload, reader).events.map(({ args }) => args)

/** An event whose args are these bytes, in hex. */
const event = (args: string): Buffer =>
  Buffer.from(`9381aa${Buffer.from('message_id').toString('hex')}01a16d${args.replaceAll(' ', '')}`, 'hex')

/** Keys as a definition has them. */
const keys = (...names: string[]): string =>
  names.map((name) => (0xa0 | name.length).toString(16) + Buffer.from(name).toString('hex')).join('')

const at = (time: number): object => ({ id: time, at: new Date(time) })

const count = (payload: Buffer, text: string): number => payload.toString('latin1').split(text).length - 1

describe('keys of records', () => {
  const order = { sku: 'CARD', quantity: 3 }
  const user = { name: 'ada', orders: [order, { sku: 'GEAR', quantity: 1 }], last: order }

  describe('that are written', () => {
    it('are sent once in a message, by their number after that', () => {
      const payload = message(writerOf(order), [order], [{ sku: 'GEAR', quantity: 1 }])
      const head = Buffer.concat([event(''), Buffer.from('91', 'hex')]).toString('hex')
      // With `v`, which the events above go without.
      const withVersion = head.replace('9381', '9382').replace('01a16d', '01a17603a16d')
      expect(payload.toString('hex')).to.equal(
        `${withVersion}c182${keys('sku', 'quantity')}a443415244 03`.replace(' ', '') +
          `${withVersion}c10200a44745415201`,
      )
    })

    it('are sent again in the next message', () => {
      const writer = writerOf(order)
      const first = message(writer, [order], [order])
      expect(message(writer, [order], [order]).equals(first)).to.equal(true)
    })

    it('are left out only towards those who were said to read it', () => {
      const writer = writerOf(order)
      writer.write({ id }, 'm', [order, order])
      const plain = writer.take()
      expect(count(plain, 'quantity')).to.equal(2)
      expect(plain.includes(0xc1)).to.equal(false)
    })

    it('are learned when records come again and again, and not before', () => {
      const writer = new EventWriter()
      expect(count(message(writer, [order], [order]), 'quantity')).to.equal(2)
      message(writer, list(often, order))
      expect(count(message(writer, [order], [order]), 'quantity')).to.equal(1)
    })

    it('are learned whatever comes between them in their rhythm', () => {
      for (const every of [2, 3, 4, 8, 16, 17]) {
        const writer = new EventWriter()
        const reader = new EventReader()
        let number = 0
        const payload = (): Buffer => {
          const others = list(every - 1, 0).map(() => ({ [`other${number++}`]: 1 }))
          return message(writer, [order, ...others], [order])
        }
        for (let time = 0; time < 200; time++) reader.read(payload(), () => undefined)
        expect(count(payload(), 'quantity'), `one of ${every}`).to.equal(1)
      }
    })

    it('come back within each other, in lists, and with other records between them', () => {
      const writer = writerOf(order, user)
      const values = [[user], { order, user, other: { a: 1 }, none: {} }, [], [order, user, 7]]
      const payload = message(writer, ...values)
      expect(argsOf(payload)).to.deep.equal(values)
      expect(count(payload, 'quantity')).to.equal(1)
      expect(count(payload, 'orders')).to.equal(1)
    })

    it('are told from the same keys in another order, and from fewer and more of them', () => {
      const values = [
        { a: 1, b: 2, c: 3 },
        { a: 1, c: 3, b: 2 },
        { a: 1, b: 2 },
        { a: 1 },
        { b: 2 },
        { a: 1, b: 2, c: 3, d: 4 },
      ]
      const writer = writerOf(...values)
      const payload = message(writer, values, values)
      const seen = argsOf(payload)
      expect(JSON.stringify(seen)).to.equal(JSON.stringify([values, values]))
      expect([...payload].filter((byte) => byte === 0xc1)).to.have.length(12)
    })

    it('are written out where they are not short ASCII, or more than 32, or where an object has them elsewhere', () => {
      const table = Object.fromEntries(list(33, 0).map((_, index) => [`key${index}`, index]))
      for (const record of [
        { 'schl\u00fcssel': 1 },
        { ['k'.repeat(32)]: 1 },
        { a: 1, '7': 2 },
        { '': 1 },
        table,
      ]) {
        const payload = message(writerOf(record), [record, record])
        expect(payload.includes(0xc1), JSON.stringify(record)).to.equal(false)
        expect(argsOf(payload)).to.deep.equal([[record, record]])
      }
    })

    it('are written out beside bytes, which the reader of plain data does not take', () => {
      const payload = message(writerOf(order), [order, order, Buffer.from('bytes')])
      expect(payload.includes(0xc1)).to.equal(false)
      expect(argsOf(payload)).to.deep.equal([[order, order, Buffer.from('bytes')]])
    })

    it('are left out of records with dates of any time, whatever an object has in place of its methods', () => {
      const times = [
        0,
        1,
        999,
        1_700_000_000_123,
        2 ** 32 * 1000,
        2 ** 34 * 1000,
        -1,
        -62_135_596_800_000,
        8.64e15,
        -8.64e15,
      ]
      const odd = Object.assign(new Date(5), { getTime: () => 6, toJSON: () => 7 })
      const values = [...times.map(at), { id: 5, at: odd }]
      const payload = message(writerOf(at(0)), values)
      expect(argsOf(payload)).to.deep.equal([[...times.map(at), { id: 5, at: new Date(5) }]])
      expect(count(payload, '\xa2id')).to.equal(1)
      for (const none of [
        Object.create(Date.prototype),
        new Proxy(new Date(5), {}),
        new Date(Number.NaN),
      ] as unknown[])
        expect(() => message(writerOf(at(0)), [none])).to.throw(ZaskError)
    })

    it('are written out beside what is not plain, and for the events after it as if it had not been', () => {
      const writer = writerOf(order)
      const values = [
        [order, new Map([['a', 1]])],
        [order, 2n ** 60n],
        [order],
        [new Map([['a', order]])],
        [order],
      ]
      const payload = message(writer, ...values)
      expect(argsOf(payload)).to.deep.equal([[order, { a: 1 }], values[1], [order], [{ a: order }], [order]])
      expect(count(payload, 'quantity')).to.equal(4)
    })

    it('are sent again where the event that brought them was refused', () => {
      const writer = writerOf(order)
      const broken = {
        get broken(): number {
          throw new Error('a getter')
        },
      }
      expect(() => writer.write({ id }, 'm', [order, broken], true)).to.throw(ZaskError)
      expect(() => writer.write({ id }, 'm', [order, 'x'.repeat(9_000_000)], true)).to.throw(ZaskError)
      const payload = message(writer, [order], [order])
      expect(argsOf(payload)).to.deep.equal([[order], [order]])
      expect(count(payload, 'quantity')).to.equal(1)
    })

    it('are not those that a proxy names the second time', () => {
      let asked = 0
      const liar = new Proxy(
        { a: 1, b: 2 },
        {
          ownKeys: () => (asked++ % 2 === 0 ? ['a', 'b'] : ['b', 'a']),
        },
      )
      const payload = message(writerOf({ a: 1, b: 2 }), [liar])
      expect(argsOf(payload)).to.deep.equal([[{ a: 1, b: 2 }]])
    })

    it('have 128 numbers in a message; the records after that are written out', () => {
      const records = list(200, 0).map((_, index) => ({ [`key${index}`]: index }))
      const payload = message(writerOf(...records), records, records)
      expect(argsOf(payload)).to.deep.equal([records, records])
      expect(count(payload, 'key127')).to.equal(1)
      expect(count(payload, 'key128')).to.equal(2)
    })

    it('have numbers of their own in each of two messages that are written at once', () => {
      const known = new SentShapes()
      for (let time = 0; time < often; time++) for (const record of [order, user]) known.missed(record)
      const [one, two] = [new EventWriter({}, known), new EventWriter({}, known)]
      for (let time = 0; time < 4; time++) {
        one.write({ id }, 'm', time % 2 === 0 ? order : user, true)
        two.write({ id }, 'm', time % 2 === 0 ? user : order, true)
      }
      expect(argsOf(one.take())).to.deep.equal([order, user, order, user])
      expect(argsOf(two.take())).to.deep.equal([user, order, user, order])
    })
  })

  describe('that are read', () => {
    it('make records of them as often as their number comes', () => {
      const payload = Buffer.concat([
        event(`c182${keys('a', 'b')}01c3`),
        event('92c10200c0c2c10200a17891c0'),
        event('c0'),
        event('c102000203'),
      ])
      expect(readAll(payload)).to.deep.include({ reason: undefined })
      expect(argsOf(payload)).to.deep.equal([
        { a: 1, b: true },
        [
          { a: null, b: false },
          { a: 'x', b: [null] },
        ],
        null,
        { a: 2, b: 3 },
      ])
    })

    it('are the same when records of them came often', () => {
      const reader = new EventReader()
      const writer = writerOf(order, user)
      const values = list(often, user)
      for (let time = 0; time < 10; time++)
        expect(argsOf(message(writer, values, user), reader)).to.deep.equal([values, user])
      const [made] = argsOf(message(writer, user), reader) as [typeof user]
      expect(Object.getPrototypeOf(made)).to.equal(Object.prototype)
      expect(Object.keys(made)).to.deep.equal(['name', 'orders', 'last'])
      expect(Object.getOwnPropertyDescriptor(made, 'name')).to.deep.equal({
        value: 'ada',
        writable: true,
        enumerable: true,
        configurable: true,
      })
    })

    it('do not outlast their message', () => {
      const reader = new EventReader()
      expect(argsOf(event(`c181${keys('a')}01`), reader)).to.deep.equal([{ a: 1 }])
      expect(readAll(event('c1010002'), reader).events[0]).to.include({
        args: undefined,
        malformed: 'maps without keys',
      })
    })

    it('are those of their message also where another one is read meanwhile', () => {
      const reader = new EventReader()
      const outer = Buffer.concat([event(`c181${keys('a')}01`), event('c1010002')])
      const seen: unknown[] = []
      reader.read(outer, ({ args }) => {
        seen.push(args)
        reader.read(event(`c181${keys('b')}03`), (inner) => seen.push(inner.args))
      })
      expect(seen).to.deep.equal([{ a: 1 }, { b: 3 }, { a: 2 }, { b: 3 }])
    })

    it('may come twice, the last value counting, and have any name but __proto__', () => {
      const hasOwn = keys('hasOwnProperty', 'constructor')
      for (let time = 0; time < 100; time++) {
        const reader = new EventReader()
        expect(argsOf(event(`c182${keys('a', 'a')}0102`), reader)).to.deep.equal([{ a: 2 }])
        const [made] = argsOf(event(`c182${hasOwn}0102`), reader)
        expect(Object.entries(made as object)).to.deep.equal([
          ['hasOwnProperty', 1],
          ['constructor', 2],
        ])
      }
      const proto = readAll(event(`c181${keys('__proto__')}81a16101`))
      expect(proto.events[0]).to.include({ args: undefined, malformed: 'maps without keys' })
    })

    it('with quotes, line ends and code in them are names and nothing else', () => {
      const reader = new EventReader()
      const names = [
        '"]',
        '\u2028',
        "'+x+'",
        '${x}',
        '\\',
        '*/',
        'a:process.exit(3),b',
        '"+process.exit(3)+"',
      ]
      for (const name of names) {
        const bytes = Buffer.from(name)
        const args = `c181${(0xa0 | bytes.length).toString(16)}${bytes.toString('hex')}07`
        for (let time = 0; time < 1200; time++) {
          const made = argsOf(event(args), reader)[0]
          if (time % 100 === 0) expect(made).to.deep.equal({ [name]: 7 })
        }
      }
    })

    const broken: Record<string, string> = {
      'of a number that has no keys': 'c1010001',
      'of a number that has more keys': `92c182${keys('a', 'b')}0102c1010003`,
      'of a number that has fewer keys': `92c181${keys('a')}01c102000304`,
      'beside bytes': `92c181${keys('a')}01c40100`,
      'beside an integer that no number holds': `92c181${keys('a')}01cfffffffffffffffff`,
      'that are no texts': 'c1810101',
      'that are bytes': 'c181c4016101',
    }
    for (const [what, args] of Object.entries(broken)) {
      it(`make an event malformed where they are ${what}, and those behind it that need a number`, () => {
        const payload = Buffer.concat([
          event(args),
          event('91c0'),
          event(`c181${keys('a')}01`),
          event('c1010002'),
        ])
        const { events, reason } = readAll(payload)
        expect(reason).to.equal(undefined)
        expect(events.map(({ args: seen, malformed }) => [seen, malformed])).to.deep.equal([
          [undefined, 'maps without keys'],
          [[null], undefined],
          [undefined, 'maps without keys'],
          [undefined, 'maps without keys'],
        ])
      })
    }

    it('count as elements and levels as if they had been written out', () => {
      const limits = { maxNodes: 20, maxDepth: 3 }
      const define = `c182${keys('a', 'b')}0102`
      const of = (args: string): string | undefined => {
        const events: Event[] = []
        new EventReader(limits).read(event(args), (one) => events.push(one))
        return events[0]!.malformed
      }
      expect(of(`94${define}${'c102000304'.repeat(3)}`)).to.equal(undefined)
      expect(of(`95${define}${'c102000304'.repeat(4)}`)).to.equal('too many nodes')
      expect(of(`9191${define}`)).to.equal(undefined)
      expect(of(`919191${define}`)).to.equal('too deep')
      expect(of(`92${define}9191c102000304`)).to.equal('too deep')
    })

    it('have room in a message beside an event of the most elements', () => {
      const names = list(32, 0).map((_, index) => `k${index}`)
      const record = Object.fromEntries(names.map((name) => [name, null]))
      const writer = writerOf(record)
      writer.write({ id }, 'm', list(1850, record), true)
      expect(writer.byteLength).to.be.within(60_000, 64 * 1024)
      writer.write({ id }, 'm', list(249_000, null), true)
      expect(readAll(writer.take()).events.map(({ malformed }) => malformed)).to.deep.equal([
        undefined,
        undefined,
      ])
    })

    it('get no more numbers than 128', () => {
      const define = `c181${keys('a')}01`
      expect(readAll(event(`dc0080${define.repeat(128)}`)).events[0]!.malformed).to.equal(undefined)
      expect(readAll(event(`dc0081${define.repeat(129)}`)).events[0]!.malformed).to.equal('maps without keys')
    })

    it('make the same records where no code may be made of text', () => {
      const code = `
        import { EventReader, EventWriter } from ${JSON.stringify(new URL('../../../core/wire/event.ts', import.meta.url).href)}
        const [reader, writer] = [new EventReader(), new EventWriter()]
        let last
        for (let time = 0; time < 300; time++) {
          for (let event = 0; event < 3; event++) writer.write({ id: '\\x01' }, 'm', [{ sku: 'x', quantity: time }], true)
          reader.read(writer.take(), ({ args }) => (last = args))
        }
        console.log(JSON.stringify(last))
      `
      const node = [
        '--disallow-code-generation-from-strings',
        '--conditions=zask-source',
        '--input-type=module',
        '-e',
        code,
      ]
      const { stdout, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8' })
      expect(stderr).to.equal('')
      expect(JSON.parse(stdout)).to.deep.equal([{ sku: 'x', quantity: 299 }])
    })
  })
})

function list<T>(length: number, value: T): T[] {
  return Array.from({ length }, () => value)
}
