import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { EventReader, EventWriter, type Event } from '../../../core/wire/event.ts'

/** One line of a recording: a message as it crossed the wire, and its event as Python would print it. */
interface Line {
  dir: 'c2s' | 's2c'
  event: string
  frames: string[]
}

// The first name is the client's. Which side runs zerorpc-node; the other, and both of the rest, are Python.
const recordings: Record<string, 'c2s' | 's2c' | undefined> = {
  'python-python': undefined,
  'python-node': 's2c',
  'node-python': 'c2s',
  'zask-zask': undefined,
}

const linesOf = (name: string): Line[] =>
  readFileSync(new URL(`../../fixtures/${name}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line): Line => JSON.parse(line))

const payloadOf = (line: Line): Buffer => Buffer.from(line.frames.at(-1)!, 'hex')

function read(payload: Buffer): Event {
  const events: Event[] = []
  expect(new EventReader().read(payload, (event) => events.push(event))).to.equal(undefined)
  expect(events).to.have.length(1)
  return events[0]!
}

function written(event: Event): Buffer {
  const writer = new EventWriter()
  writer.write({ id: event.id!, responseTo: event.responseTo, extra: event.headers }, event.name, event.args)
  return writer.take()
}

/** The value as Python prints it, for the types the recordings have; floats are told by what was recorded. */
function python(value: unknown): string {
  if (value === null) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (Buffer.isBuffer(value)) return `bin(b'${pythonBytes(value)}')`
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, item]) => `${python(key)}: ${python(item)}`)
      .join(', ')}}`
  }
  if (typeof value === 'number' || typeof value === 'bigint') return value.toString()
  if (typeof value !== 'string') throw new TypeError(`a recording has no ${typeof value}`)
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'"
  return (
    quote + value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll(quote, `\\${quote}`) + quote
  )
}

const pythonBytes = (bytes: Buffer): string =>
  Array.from(bytes, (byte) => {
    const isPlain = byte >= 0x20 && byte < 0x7f
    return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }).join('')

/** What the recorded text says after the header; undefined where the recording was shortened. */
function bodyOf({ event }: Line): string | undefined {
  if (event.includes('chars)')) return undefined
  return event.slice(event.indexOf('}, ') + 3, -1)
}

/** Integers that Python sent as floats: the one thing JavaScript cannot tell. */
const floats = /(?<![\w'.])(\d+)\.0(?![\w.])/

describe('the recorded sessions', () => {
  for (const [name, nodeSide] of Object.entries(recordings)) {
    describe(name, () => {
      const lines = linesOf(name)

      it('are read as what was sent', () => {
        let compared = 0
        for (const line of lines) {
          const event = read(payloadOf(line))
          expect(event.malformed, line.event).to.equal(undefined)
          expect(event.version, line.event).to.equal(3)
          expect(event.id, line.event).to.be.a('string')
          expect(event.responseTo !== undefined, line.event).to.equal(line.event.includes("'response_to': "))
          const text = bodyOf(line)
          if (text === undefined) continue
          expect(`${python(event.name)}, ${python(event.args)}`).to.equal(
            text.replaceAll(new RegExp(floats, 'g'), '$1'),
          )
          compared++
        }
        expect(compared / lines.length).to.be.above(0.8)
      })

      it('are written byte for byte as Python wrote them', () => {
        let compared = 0
        for (const line of lines) {
          const payload = payloadOf(line)
          const event = read(payload)
          const again = written(event)
          if (line.dir === nodeSide || floats.test(line.event)) {
            // zerorpc-node has `v` first and longer heads: the same event in other bytes.
            expect(read(again), line.event).to.deep.equal(event)
          } else {
            expect(again.toString('hex'), line.event).to.equal(payload.toString('hex'))
            compared++
          }
        }
        expect(compared).to.be.above(10)
      })

      it('are read from one frame as well, one after another', () => {
        const events: Event[] = []
        const all = Buffer.concat(lines.map(payloadOf))
        expect(new EventReader().read(all, (event) => events.push(event))).to.equal(undefined)
        expect(events).to.deep.equal(lines.map((line) => read(payloadOf(line))))
      })
    })
  }
})
