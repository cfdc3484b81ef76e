import { expect } from 'chai'
import fc from 'fast-check'
import { ZaskError } from '../../../core/errors.ts'
import {
  EventReader,
  EventWriter,
  type Event,
  type EventId,
  type OutgoingHeader,
} from '../../../core/wire/event.ts'

const ids: fc.Arbitrary<EventId> = fc.oneof(
  fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => `\xc4 ${Buffer.from(bytes).toString('latin1')}`),
  fc.integer({ min: 0, max: 127 }).map((value) => String.fromCharCode(value)),
  fc
    .string({ maxLength: 31, unit: 'grapheme-ascii' })
    .map((text) => String.fromCharCode(0xa0 | text.length) + text),
)

const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 400 }),
  fc.constantFrom('\ufeff' + 'x'.repeat(300), 'é'.repeat(150), ''),
)
const keys = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((key) => key !== '__proto__')

/** Values that come back as they were sent. */
const values: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger().map((value) => value + 0),
    fc.integer({ min: -300, max: 300 }),
    fc.double().map((value) => (Number.isInteger(value) ? 0 : value)),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    texts,
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.date({ noInvalidDate: true }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 20, noNullPrototype: true }),
  ),
})).value

const headers: fc.Arbitrary<OutgoingHeader> = fc.record(
  {
    id: ids,
    responseTo: ids,
    extra: fc.dictionary(
      keys.filter((key) => !['message_id', 'response_to', 'v', 'zmqid'].includes(key)),
      values,
      { maxKeys: 4 },
    ),
  },
  { requiredKeys: ['id'] },
)

const events = fc.tuple(headers, texts, values)
const frames = fc.array(events, { minLength: 1, maxLength: 4 }).map((list) => {
  const writer = new EventWriter()
  for (const [header, name, args] of list) writer.write(header, name, args)
  return writer.take()
})

type Mutation = { at: number; how: 'set' | 'insert' | 'delete' | 'double' | 'cut'; byte: number }

const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    how: fc.constantFrom('set', 'insert', 'delete', 'double', 'cut'),
    byte: fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      // The bytes that begin something long or strange.
      fc.constantFrom(0xc1, 0xc6, 0xc9, 0xcf, 0xd3, 0xd4, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0x8f, 0x9f, 0xff),
    ),
  }),
  { minLength: 1, maxLength: 6 },
)

function mutate(bytes: Buffer, list: readonly Mutation[]): Buffer {
  let mutant = bytes
  for (const { at, how, byte } of list) {
    const index = Math.floor(at * mutant.length)
    const [before, after] = [mutant.subarray(0, index), mutant.subarray(index)]
    if (how === 'cut') mutant = before
    else if (how === 'delete') mutant = Buffer.concat([before, after.subarray(1)])
    else if (how === 'double') mutant = Buffer.concat([before, after.subarray(0, 8), after])
    else mutant = Buffer.concat([before, Buffer.from([byte]), after.subarray(how === 'set' ? 1 : 0)])
  }
  return mutant
}

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
  this.timeout(60_000)

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
      { numRuns: 3_000 },
    )
  })

  it('makes the same bytes and the same values by its short way for plain data and by the long one', () => {
    fc.assert(
      fc.property(values, (value) => {
        // A Map is not plain, nor is a Date: with one of them the whole value goes the long way.
        expect(bytesOf(new Map([['a', value]])).toString('hex')).to.equal(
          bytesOf({ a: value }).toString('hex'),
        )
        const { events: long } = read(bytesOf({ a: value, b: new Date(0) }))
        expect(long[0]!.args).to.deep.equal({ a: value, b: new Date(0) })
      }),
      { numRuns: 2_000 },
    )
  })

  it('survives events that were cut, lengthened and changed', () => {
    fc.assert(
      fc.property(frames, mutations, (bytes, list) => checkRead(mutate(bytes, list))),
      { numRuns: 9_000 },
    )
  })

  it('survives random bytes, also where a good header stands before them', () => {
    const head = Buffer.from('9381a17603', 'hex')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, isHeaded) =>
        checkRead(isHeaded ? Buffer.concat([head, bytes]) : bytes),
      ),
      { numRuns: 8_000 },
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
      { numRuns: 3_000 },
    )
  })
})
