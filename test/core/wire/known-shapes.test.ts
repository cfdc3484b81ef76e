import { expect } from 'chai'
import fc from 'fast-check'
import { encode } from '@msgpack/msgpack'
import { KnownShape, KnownShapes } from '../../../core/wire/known-shapes.ts'
import { PlainReader } from '../../../core/wire/plain-reader.ts'

function read(reader: PlainReader, value: unknown, cut = 0): unknown {
  // Within a frame: what stands behind it must not count.
  const bytes = Buffer.concat([encode(value), Buffer.from('\xa5after', 'latin1')])
  return reader.value(bytes, 0, bytes.length - 6 - cut, 1000)
}

/** Reads it often enough for its keys to be foreseen. */
function learn(reader: PlainReader, value: unknown): void {
  for (let times = 0; times < 40; times++) expect(read(reader, value)).to.deep.equal(value)
}

/** What is known after so many maps like the record were missed, and its bytes after the head of a small map. */
function shapes(record: object, times = 40): { known: KnownShapes; bytes: Buffer; size: number } {
  const known = new KnownShapes()
  const bytes = Buffer.from(encode(record)).subarray(1)
  const size = Object.keys(record).length
  for (let time = 0; time < times; time++) known.missed(record, bytes, 0, size)
  return { known, bytes, size }
}

describe('a shape', () => {
  const shape = new KnownShape(['id', 'name'])
  const bytes = Buffer.from('\xa2id\xa4name', 'latin1')

  it('knows where each of its keys ends, and no other', () => {
    expect(shape.endOfKey(0, bytes, 0, bytes.length)).to.equal(3)
    expect(shape.endOfKey(1, bytes, 3, bytes.length)).to.equal(8)
    expect(shape.endOfKey(1, bytes, 0, bytes.length)).to.equal(-1)
    for (let at = 0; at < 3; at++) {
      const other = Buffer.from(bytes)
      other[at]!++
      expect(shape.endOfKey(0, other, 0, other.length), `byte ${at}`).to.equal(-1)
    }
  })

  it('finds no key in bytes that end before it does', () => {
    expect(shape.endOfKey(1, bytes, 3, 7)).to.equal(-1)
    expect(shape.endOfKey(1, bytes, 3, 8)).to.equal(8)
  })
})

describe('the shapes a reader knows', () => {
  it('come of maps that were read again and again', () => {
    const { known, bytes, size } = shapes({ sku: 'x', quantity: 1 })
    expect(known.find(bytes, 0, size)?.keys).to.deep.equal(['sku', 'quantity'])
    expect(known.find(bytes, 0, 3)).to.equal(undefined)
    expect(shapes({ sku: 'x', quantity: 1 }, 1).known.find(bytes, 0, size)).to.equal(undefined)
  })

  it('are none of maps with keys that an object would put elsewhere, or that are no short ASCII', () => {
    for (const record of [
      { a: 1, '7': 2 },
      { schlüssel: 1 },
      { ['k'.repeat(32)]: 1 },
      { '': 1 },
      { 'a\n': 1 },
    ]) {
      const { known, bytes, size } = shapes(record)
      expect(known.find(bytes, 0, size), JSON.stringify(record)).to.equal(undefined)
    }
    const table = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`key${index}`, index]))
    const { known, size } = shapes(table)
    expect(known.find(Buffer.from(encode(table)).subarray(3), 0, size)).to.equal(undefined)
  })
})

describe('maps whose keys are foreseen', () => {
  it('are read as they are when a key is missing, more, another, or elsewhere', () => {
    const usual = { id: 1, name: 'x', tags: ['a'], at: { street: 's', city: 'c' } }
    const others = [
      { id: 1, name: 'x', tags: ['a'] },
      { ...usual, more: true },
      { id: 1, nome: 'x', tags: ['a'], at: { street: 's', city: 'c' } },
      { name: 'x', id: 1, tags: ['a'], at: { city: 'c', street: 's' } },
      { id: 1, name: 'x', tags: ['a'], ay: 4 },
      { id: 1, name: 'x', tags: ['a'], '0': 4 },
      { id: 1, name: 'x', tags: ['a'], schlüssel: 4 },
    ]
    const reader = new PlainReader(100)
    learn(reader, usual)
    for (const other of others) {
      const seen = read(reader, other)
      expect(seen).to.deep.equal(other)
      expect(Object.keys(seen as object)).to.deep.equal(Object.keys(other))
      expect(read(reader, usual)).to.deep.equal(usual)
    }
  })

  it('are not taken where they end too early', () => {
    const usual = { id: 1, name: 'x' }
    const reader = new PlainReader(100)
    learn(reader, usual)
    for (let cut = 1; cut < encode(usual).length; cut++) {
      expect(read(reader, usual, cut), `${cut} bytes less`).to.equal(undefined)
      expect(reader.next).to.equal(-1)
    }
  })

  it('are not taken with a key __proto__, wherever it is', () => {
    const reader = new PlainReader(100)
    learn(reader, { id: 1, name: 'x' })
    for (const keys of [
      ['__proto__', 'name'],
      ['id', '__proto__'],
    ]) {
      const bytes = Buffer.concat([
        Buffer.from([0x82]),
        ...keys.map((key) => Buffer.concat([encode(key), encode(1)])),
      ])
      expect(reader.value(bytes, 0, bytes.length, 100)).to.equal(undefined)
      expect(reader.next).to.equal(-1)
    }
  })

  it('have the last of two equal keys', () => {
    const reader = new PlainReader(100)
    learn(reader, { id: 1, name: 'x' })
    const bytes = Buffer.concat([Buffer.from([0x82]), encode('id'), encode(1), encode('id'), encode(2)])
    for (let times = 0; times < 40; times++) {
      expect(reader.value(bytes, 0, bytes.length, 100)).to.deep.equal({ id: 2 })
    }
    expect(read(reader, { id: 1, name: 'x' })).to.deep.equal({ id: 1, name: 'x' })
  })

  it('are read as by a reader that has read nothing before, whatever came', () => {
    const key = fc.constantFrom('a', 'b', 'ab', 'id', 'ie', 'name', 'nome', 'names', '0', 'ä')
    const { record } = fc.letrec((tie) => ({
      record: fc.dictionary(
        key,
        fc.oneof({ depthSize: 'small' }, fc.integer({ min: 0, max: 9 }), tie('record')),
        {
          maxKeys: 5,
        },
      ),
    }))
    const used = new PlainReader(100)
    fc.assert(
      fc.property(record, fc.integer({ min: 1, max: 20 }), (value, times) => {
        for (let time = 0; time < times; time++) {
          const seen = read(used, value)
          expect(JSON.stringify(seen)).to.equal(JSON.stringify(read(new PlainReader(100), value)))
        }
      }),
      { numRuns: 500 },
    )
  })
})
