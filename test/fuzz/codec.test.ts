import { expect } from 'chai'
import fc from 'fast-check'
import { Decoder } from '@msgpack/msgpack'
import { ZaskError } from '../../core/errors.ts'
import { defaultLimits, EventReader, EventWriter, type Event } from '../../core/wire/event.ts'
import { PlainReader } from '../../core/wire/plain-reader.ts'
import { Scanner } from '../../core/wire/scan.ts'
import {
  events,
  frames,
  knowingWriter,
  mutate,
  mutations,
  piles,
  recordEvents,
  recordPiles,
  values,
} from './arbitraries.ts'
import { cases, patienceMs, seed } from './budget.ts'

const bytesOf = (args: unknown): Buffer => {
  const writer = new EventWriter()
  writer.write({ id: '\x01' }, 'm', args)
  return writer.take()
}

const reader = new EventReader()

/** Reads with a reader that has read everything before: nothing may be left over from one frame to the next. */
function read(payload: Uint8Array): { events: Event[]; reason: string | undefined } {
  const seen: Event[] = []
  const reason = reader.read(payload, (event) => seen.push(event))
  return { events: seen, reason }
}

function checkRead(payload: Uint8Array): void {
  const { events: seen, reason } = read(payload)
  // It ended with all understood or a reason, and made no more events than the bytes can hold.
  expect(reason === undefined || reason.length > 0).to.equal(true)
  expect(seen.length).to.be.at.most(payload.length / 4 + 1)
  if (reason === undefined) expect(seen.length).to.be.above(0)
  for (const event of seen) {
    expect(event.name).to.be.a('string')
    expect(event.version).to.satisfy(Number.isInteger)
    expect(event.name.isWellFormed()).to.equal(true)
    if (event.malformed !== undefined) expect(event.args).to.equal(undefined)
  }
  // What was readable can be sent on; what came out of that is the same again.
  const whole = seen.filter(({ malformed, id }) => malformed === undefined && id !== undefined)
  const writer = new EventWriter()
  const kept = whole.filter((event) => {
    try {
      writer.write(
        { id: event.id!, responseTo: event.responseTo, extra: event.headers },
        event.name,
        event.args,
      )
      return true
    } catch (error) {
      expect(error).to.be.instanceOf(ZaskError)
      return false
    }
  })
  expect(writer.count).to.equal(kept.length)
  if (kept.length === 0) return
  const again = read(writer.take())
  expect(again.reason).to.equal(undefined)
  expect(again.events.map(({ args, name, id }) => [id, name, args])).to.deep.equal(
    kept.map(({ args, name, id }) => [id, name, args]),
  )
}

describe('the event codec under random input', function () {
  this.timeout(patienceMs(30_000))

  it('gives back every value as it was sent', () => {
    fc.assert(
      fc.property(fc.array(events, { minLength: 1, maxLength: 3 }), (list) => {
        const writer = new EventWriter()
        let bytes = 0
        for (const [header, name, args] of list) bytes += writer.write(header, name, args)
        expect(writer).to.include({ byteLength: bytes, count: list.length })
        const { events: seen, reason } = read(writer.take())
        expect(reason).to.equal(undefined)
        expect(seen).to.have.length(list.length)
        for (const [index, [header, name, args]] of list.entries()) {
          const event = seen[index]!
          expect(event.malformed).to.equal(undefined)
          expect(event.id).to.equal(header.id)
          expect(event.responseTo).to.equal(header.responseTo)
          expect(event.name).to.equal(name)
          expect(event.args).to.deep.equal(args)
          expect({ ...event.headers }).to.deep.equal({ ...header.extra })
        }
      }),
      { numRuns: cases(6), seed },
    )
  })

  it('gives back records of few kinds as they were sent, with their keys once in a message', () => {
    const writer = knowingWriter()
    let [whole, short] = [0, 0]
    fc.assert(
      fc.property(fc.array(recordEvents, { minLength: 1, maxLength: 5 }), (list) => {
        for (const [header, name, args] of list) writer.write(header, name, args, true)
        const payload = writer.take()
        short += payload.length
        for (const [header, name, args] of list) writer.write(header, name, args)
        whole += writer.take().length
        const { events: seen, reason } = read(payload)
        expect(reason).to.equal(undefined)
        expect(seen.map(({ id, name, args }) => [id, name, args])).to.deep.equal(
          list.map(([{ id }, name, args]) => [id, name, args]),
        )
        // The order of keys counts, too.
        expect(seen.map(({ args }) => keysOf(args))).to.deep.equal(list.map(([, , args]) => keysOf(args)))
      }),
      { numRuns: cases(6), seed },
    )
    expect(short).to.be.below(whole)
  })

  it('makes the same bytes and the same values by its short way for plain data and by the long one', () => {
    fc.assert(
      fc.property(values, (value) => {
        // A Map is not plain to the writer, nor bytes to the reader: with them the whole value goes the long way.
        expect(bytesOf(new Map([['a', value]])).toString('hex')).to.equal(
          bytesOf({ a: value }).toString('hex'),
        )
        const bytes = Buffer.from('b')
        const { events: long } = read(bytesOf({ a: value, b: bytes }))
        expect(long[0]!.args).to.deep.equal({ a: value, b: bytes })
      }),
      { numRuns: cases(4), seed },
    )
  })

  it('survives events that were cut, lengthened and changed', () => {
    fc.assert(
      fc.property(frames, mutations, (bytes, list) => checkRead(mutate(bytes, list))),
      { numRuns: cases(18), seed },
    )
  })

  it('survives random bytes, also where a good header stands before them', () => {
    const head = Buffer.from('9381a17603', 'hex')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, isHeaded) =>
        checkRead(isHeaded ? Buffer.concat([head, bytes]) : bytes),
      ),
      { numRuns: cases(16), seed },
    )
  })

  it('sends anything or says why not, whatever object it is given', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
        (value) => {
          const writer = new EventWriter()
          try {
            writer.write({ id: '\x01' }, 'm', [value])
          } catch (error) {
            expect(error).to.be.instanceOf(ZaskError)
            expect(writer.byteLength).to.equal(0)
            return
          }
          const { events: seen, reason } = read(writer.take())
          expect(reason).to.equal(undefined)
          expect(seen[0]!.malformed).to.equal(undefined)
        },
      ),
      { numRuns: cases(6), seed },
    )
  })

  it('scans to the end what the decoder can read, and refuses what it cannot', () => {
    const scanner = new Scanner(defaultLimits.maxDepth)
    const decoder = new Decoder()
    // What the scanner lets through and the decoder refuses: keys, timestamps, which cost nothing to refuse.
    const lateRefusals = /key|timestamp|date|__proto__/i
    // What the decoder takes and the scanner refuses on purpose.
    const earlyRefusals = ['text is not UTF-8', 'too deep', 'too many nodes']
    const check = (bytes: Buffer): void => {
      const end = scanner.scan(bytes, 0, bytes.length, defaultLimits.maxNodes)
      // Never decoded where the scanner refused what claims much: that is what it is for. The decoder knows no shapes.
      if ((end < 0 && scanner.reason === 'truncated') || scanner.hasShapes) return
      let refusal: string | undefined
      try {
        decoder.decode(bytes.subarray(0, end < 0 ? bytes.length : end))
      } catch (error) {
        refusal = String(error)
      }
      if (end >= 0 && refusal !== undefined) expect(refusal).to.match(lateRefusals)
      if (end < 0 && refusal === undefined) expect(earlyRefusals).to.include(scanner.reason)
    }
    fc.assert(
      fc.property(
        fc.oneof(
          fc.tuple(values, mutations).map(([value, list]) => mutate(argsOf(value), list)),
          fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
        ),
        check,
      ),
      { numRuns: cases(5), seed },
    )
  })

  it('reads plain data, however changed, as the decoder reads it', () => {
    const plain = new PlainReader(defaultLimits.maxDepth)
    const scanner = new Scanner(defaultLimits.maxDepth)
    const decoder = new Decoder()
    fc.assert(
      fc.property(values, mutations, (value, list) => {
        const bytes = mutate(argsOf(value), list)
        const seen = plain.value(bytes, 0, bytes.length, defaultLimits.maxNodes)
        scanner.scan(bytes, 0, bytes.length, defaultLimits.maxNodes)
        // The decoder of the library swallows a byte order mark that begins a long text; we keep it. It knows no shapes.
        if (plain.next >= 0 && scanner.marks.length === 0 && !scanner.hasShapes)
          expect(seen).to.deep.equal(decoder.decode(bytes.subarray(0, plain.next)))
      }),
      { numRuns: cases(3), seed },
    )
  })

  it('takes no more time and memory than the bytes warrant, whatever they claim', () => {
    let bytes = 0
    let workedMs = 0
    fc.assert(
      fc.property(piles, (pile) => {
        bytes += pile.length
        workedMs += readWeighed(pile)
      }),
      { numRuns: cases(2), seed },
    )
    const msPerMiB = workedMs / (bytes / 2 ** 20)
    console.log(`      ${(bytes / 2 ** 20).toFixed(1)} MiB read, ${msPerMiB.toFixed(1)} ms of CPU each`)
    expect(msPerMiB).to.be.below(50)
  })

  it('takes no more time for records whose keys came before them than for the same with all their keys', () => {
    const workedMs = { once: 0, out: 0 }
    fc.assert(
      fc.property(recordPiles, ({ once, out }) => {
        // Whoever is first makes the engine know the keys.
        const [first, second] = once.length % 2 === 0 ? ([once, out] as const) : ([out, once] as const)
        const [firstMs, secondMs] = [readWeighed(first), readWeighed(second)]
        workedMs.once += first === once ? firstMs : secondMs
        workedMs.out += first === once ? secondMs : firstMs
      }),
      { numRuns: cases(1), seed },
    )
    console.log(
      `      ${workedMs.once.toFixed(0)} ms of CPU where they came once, else ${workedMs.out.toFixed(0)}`,
    )
    expect(workedMs.once).to.be.below(workedMs.out * 2)
  })
})

/** Reads a pile and sees that no more came out of it than went in; returns the milliseconds of CPU it took. */
function readWeighed(pile: Buffer): number {
  const before = process.cpuUsage()
  const { events: seen } = read(pile)
  const { user, system } = process.cpuUsage(before)
  for (const { headers, name, args } of seen) {
    // A number of 9 bytes may be the 24 characters of a key.
    expect(weigh([headers, name, args])).to.be.at.most(pile.length * 3)
  }
  return (user + system) / 1000
}

/** A value as args, without the event around it. */
function argsOf(value: unknown): Buffer {
  const whole = bytesOf(value)
  return whole.subarray(bytesOf(null).length - 1)
}

/** The keys of all records, in the order they stand. */
function keysOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0
  return Array.isArray(value)
    ? value.map(keysOf)
    : Object.entries(value).map(([key, one]) => [key, keysOf(one)])
}

/** Elements, characters and bytes of all that was made; a text that is a key of many records is one. */
function weigh(value: unknown, keys: Set<string> = new Set()): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return 1 + value.length
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + weigh(one, keys), 1)
  if (typeof value !== 'object' || value === null) return 1
  return Object.entries(value).reduce((sum, [key, one]) => {
    const made = keys.has(key) ? 1 : key.length
    keys.add(key)
    return sum + made + weigh(one, keys)
  }, 1)
}
