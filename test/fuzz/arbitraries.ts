import fc from 'fast-check'
import { requestHead } from './corpus.ts'
import { EventWriter, type EventId, type OutgoingHeader } from '../../core/wire/event.ts'
import { SentShapes } from '../../core/wire/sent-shapes.ts'

const ids: fc.Arbitrary<EventId> = fc.oneof(
  fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => `\xc4 ${Buffer.from(bytes).toString('latin1')}`),
  fc.integer({ min: 0, max: 127 }).map((value) => String.fromCharCode(value)),
  fc
    .string({ maxLength: 31, unit: 'grapheme-ascii' })
    .map((text) => String.fromCharCode(0xa0 | text.length) + text),
)

const texts: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 400 }),
  fc.constantFrom('\ufeff' + 'x'.repeat(300), 'é'.repeat(150), ''),
)
const keys = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((key) => key !== '__proto__')

/** Values that come back as they were sent. */
export const values: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
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

/** What a writer takes: header, name, args. */
export const events: fc.Arbitrary<[OutgoingHeader, string, unknown]> = fc.tuple(headers, texts, values)

/** Few keys of few kinds, so that the records of one event are of one kind often. */
const records: fc.Arbitrary<object> = fc.letrec<{ record: object; value: unknown }>((tie) => ({
  record: fc
    .tuple(
      fc.constantFrom(['a'], ['a', 'b'], ['b', 'a'], ['id', 'name', 'at']),
      fc.array(tie('value'), { minLength: 3, maxLength: 3 }),
    )
    .map(([names, items]) => Object.fromEntries(names.map((name, index) => [name, items[index]]))),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, maxDepth: 4 },
    fc.integer({ min: 0, max: 200 }),
    fc.constantFrom(null, true, 'x', 2.5),
    fc.array(tie('record'), { maxLength: 4 }),
    tie('record'),
  ),
})).record

/** Events whose args are records of few kinds, now and then with something that is not plain. */
export const recordEvents: fc.Arbitrary<[OutgoingHeader, string, unknown]> = fc.tuple(
  headers,
  texts,
  fc.array(fc.oneof({ arbitrary: records, weight: 8 }, { arbitrary: values, weight: 1 }), { maxLength: 6 }),
)

const known = new SentShapes()
for (const record of fc.sample(records, { numRuns: 400, seed: 1 })) known.missed(record)

/** A writer that knows the keys of records that were written before. */
export const knowingWriter = (): EventWriter => new EventWriter({}, known)

/** Sound frames of one to four events. */
export const frames: fc.Arbitrary<Buffer> = fc
  .tuple(fc.array(fc.oneof(events, recordEvents), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([list, byShape]) => {
    const writer = knowingWriter()
    for (const [header, name, args] of list) writer.write(header, name, args, byShape)
    return writer.take()
  })

/** One change of some bytes; `at` is a place in them, from 0 to 1. */
export interface Mutation {
  readonly at: number
  readonly how: 'set' | 'insert' | 'delete' | 'double' | 'cut'
  readonly byte: number
}

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    how: fc.constantFrom<Mutation['how'][]>('set', 'insert', 'delete', 'double', 'cut'),
    byte: fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      // The bytes that begin something long or strange.
      fc.constantFrom(0xc1, 0xc6, 0xc9, 0xcf, 0xd3, 0xd4, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0x8f, 0x9f, 0xff),
    ),
  }),
  { minLength: 1, maxLength: 6 },
)

export function mutate(bytes: Buffer, list: readonly Mutation[]): Buffer {
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

/** What msgpack begins a value with, and what cannot be one: little that claims much, over and over. */
const heads = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 6 }),
  fc
    .tuple(
      fc.constantFrom(
        0xc4,
        0xc5,
        0xc6,
        0xc7,
        0xc8,
        0xc9,
        0xd9,
        0xda,
        0xdb,
        0xdc,
        0xdd,
        0xde,
        0xdf,
        0x8f,
        0x9f,
        0xc1,
      ),
      fc.uint8Array({ minLength: 0, maxLength: 4 }),
    )
    .map(([type, rest]) => Uint8Array.of(type, ...rest)),
)

/** A frame with a good header whose args are the same few bytes again and again, up to 64 KiB of them. */
export const piles: fc.Arbitrary<Buffer> = fc
  .tuple(heads, fc.integer({ min: 1, max: 16 }), fc.uint8Array({ maxLength: 4 }))
  .map(([head, power, tail]) => Buffer.concat([requestHead, Buffer.alloc(pileSize(power), head), tail]))

/** Records of keys that nobody had before, over and over, with the keys once and with all of them written out. */
export const recordPiles: fc.Arbitrary<{ once: Buffer; out: Buffer }> = fc
  .record({
    size: fc.integer({ min: 1, max: 32 }),
    width: fc.integer({ min: 1, max: 31 }),
    value: fc.constantFrom(0xc0, 0x90, 0x80, 0xa0),
    power: fc.integer({ min: 6, max: 16 }),
    tail: fc.uint8Array({ maxLength: 4 }),
  })
  .map(({ size, width, value, power, tail }) => {
    const key = (index: number): string =>
      String.fromCharCode(0xa0 | width) + String(index).padStart(width, 'k').slice(-width)
    const names = Array.from({ length: size }, (_, index) => key(index))
    const record = Buffer.alloc(size, value)
    const again = Buffer.concat([Buffer.of(0xc1, size, 0), record])
    const count = Math.floor(pileSize(power) / again.length)
    const list = Buffer.of(0xdc, (count + 1) >> 8, count + 1)
    const pairs = Buffer.from(names.map((one) => one + String.fromCharCode(value)).join(''), 'latin1')
    const map = Buffer.concat([Buffer.of(0xde, 0, size), pairs])
    const brought = Buffer.from(String.fromCharCode(0xc1, 0x80 | size) + names.join(''), 'latin1')
    const rest = Buffer.alloc(count * again.length, again)
    return {
      once: Buffer.concat([requestHead, list, brought, record, rest, tail]),
      out: Buffer.concat([requestHead, list, Buffer.alloc((count + 1) * map.length, map)]),
    }
  })

const pileSize = (power: number): number => Math.min(2 ** power, 65_536)
