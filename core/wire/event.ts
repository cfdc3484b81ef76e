import {
  defaultLimits,
  type Event,
  type EventId,
  type EventLimits,
  type OutgoingHeader,
} from './event-shape.ts'
import {
  bareRecord,
  idAt,
  maxHeaderKeys,
  maxIdBytes,
  messageIdKey,
  nilId,
  noHeaders,
  furtherKeys,
  reservedKeys,
  responseToKey,
  scalarBytes,
  versionKey,
  writeHead,
} from './header.ts'
import type { Shape } from './known-shapes.ts'
import { AnyDecoder, AnyEncoder } from './msgpack.ts'
import { isSame, lostShapes, PlainReader } from './plain-reader.ts'
import { PlainWriter } from './plain-writer.ts'
import { doubleMarks } from './received.ts'
import { length, Scanner } from './scan.ts'
import { Sendable, tooLarge } from './sendable.ts'
import { SentShapes } from './sent-shapes.ts'
import { Slab } from './slab.ts'

export { defaultLimits } from './event-shape.ts'
export type { Event, EventId, EventLimits, OutgoingHeader } from './event-shape.ts'
export { IdSource } from './id-source.ts'

/** The bytes a frame may hold beside its largest event: zask peers put events together until they have 64 KiB. */
const company = 64 * 1024
/** The elements of so many bytes: a value whose key stands elsewhere is two. */
const companyNodes = 2 * company

/**
 * Events of one frame. The 64 KiB of a zask peer hold half of these; a frame that is full of small requests would have
 * all other peers wait until the last of them has run.
 */
const maxEvents = 4096

/**
 * Reads the events of one body frame, one after another (a msgpack sequence; plain zerorpc peers send one).
 */
export class EventReader {
  /** Whether something that was read from the last frame is a view of its memory. */
  lends = false

  readonly #limits: EventLimits
  readonly #plain: PlainReader
  readonly #scanner: Scanner
  readonly #decoder = new AnyDecoder()
  // What the private readers tell beside what they return: the position after it, or -1 and why.
  #next = -1
  #reason = ''
  // Why a value whose end is known cannot be had in JavaScript.
  #undecodable: string | undefined
  // Elements this frame may still have.
  #budget = 0

  constructor(limits: Partial<EventLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits }
    this.#plain = new PlainReader(this.#limits.maxDepth)
    this.#scanner = new Scanner(this.#limits.maxDepth)
  }

  /**
   * Calls `sink` for each event. Whatever the bytes are, it does not throw (but for what `sink` throws), and takes no
   * more time and memory than they warrant.
   * @returns undefined when all bytes were understood, else a short reason; the events before were delivered.
   */
  read(payload: Uint8Array, sink: (event: Event) => void): string | undefined {
    const bytes = Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const end = bytes.length
    this.lends = false
    if (end === 0) return 'empty'
    if (end > this.#limits.maxBytes + company) return 'too large'
    // One for the frame: a frame of many small events must not cost many times what one event may.
    let budget = this.#limits.maxNodes + companyNodes
    let at = 0
    let events = 0
    let lends = false
    let shapes: Shape[] | undefined
    let reason: string | undefined
    while (at >= 0 && at < end) {
      if (++events > maxEvents) {
        reason = 'too many events'
        break
      }
      this.#budget = budget
      this.lends = false
      this.#plain.shapes = shapes
      const event = this.#event(bytes, at, end)
      // Read before sink runs, which may come back here.
      at = this.#next
      budget = this.#budget
      shapes = this.#plain.shapes
      lends ||= this.lends
      if (at < 0) reason = this.#reason
      if (event !== undefined) sink(event)
    }
    this.lends = lends
    return reason
  }

  #event(bytes: Buffer, start: number, end: number): Event | undefined {
    let at = this.#open(bytes, start, end)
    if (at < 0) return undefined
    let keys = bytes[at++]!
    if ((keys & 0xf0) === 0x80) keys &= 0x0f
    else {
      const width = keys === 0xde ? 2 : keys === 0xdf ? 4 : 0
      if (width === 0) return this.#fail('header is not a map')
      if (at + width > end) return this.#fail('truncated')
      keys = length(bytes, at, width)
      at += width
    }
    if (keys > maxHeaderKeys) return this.#fail('too many header keys')
    this.#budget -= 4 + keys * 2
    if (this.#budget < 0) return this.#fail('too many nodes')

    let id: EventId | undefined
    let responseTo: EventId | undefined
    let version = 0
    let headers = noHeaders
    let malformed: string | undefined

    for (; keys > 0; keys--) {
      const from = this.#plain.span(bytes, at, end)
      if (from < 0) {
        // A key that is not text says nothing to us: over it and over its value.
        this.#skip(bytes, at, end)
        if (this.#next >= 0) this.#skip(bytes, this.#next, end)
      } else {
        at = this.#plain.next
        if (isSame(bytes, from, at, messageIdKey)) id = this.#id(bytes, at, end)
        else if (isSame(bytes, from, at, responseToKey)) {
          responseTo = this.#id(bytes, at, end)
          if (responseTo === nilId) responseTo = undefined
        } else if (isSame(bytes, from, at, versionKey)) {
          // An integer, told from a float by its type byte.
          const isFloat = bytes[at] === 0xca || bytes[at] === 0xcb
          const value = this.#value(bytes, at, end)
          version = !isFloat && typeof value === 'number' ? value : 0
        } else {
          const key = this.#plain.text(bytes, from, at)
          if (key === undefined) return this.#fail('text is not UTF-8')
          const value = this.#value(bytes, at, end)
          malformed ??= this.#undecodable
          if (!reservedKeys.includes(key)) {
            if (headers === noHeaders) headers = bareRecord()
            headers[key] = value
          }
        }
      }
      at = this.#next
      if (at < 0) return undefined
    }

    // From here on the event can be answered, so it is delivered whatever comes.
    let name = ''
    let args: unknown
    const from = this.#plain.span(bytes, at, end)
    if (from < 0) {
      this.#skip(bytes, at, end)
      malformed ??= this.#next < 0 ? this.#reason : 'name is neither text nor bytes'
    } else {
      this.#next = this.#plain.next
      const text = this.#plain.text(bytes, from, this.#next)
      if (text === undefined) malformed ??= 'name is not UTF-8'
      else name = text
    }
    if (this.#next >= 0) {
      args = this.#value(bytes, this.#next, end)
      if (this.#next < 0) malformed ??= this.#reason
      else if (this.#next - start > this.#limits.maxBytes) malformed ??= 'too large'
      malformed ??= this.#undecodable
      if (malformed !== undefined) args = undefined
    }
    return { id, responseTo, version, headers, name, args, malformed }
  }

  /** Over the head of the array of three; the header follows. */
  #open(bytes: Buffer, start: number, end: number): number {
    const type = bytes[start]!
    const width = type === 0xdc ? 2 : type === 0xdd ? 4 : 0
    const at = start + 1 + width
    if (type !== 0x93 && (width === 0 || (at <= end && length(bytes, start + 1, width) !== 3))) {
      this.#fail(type === 0xc1 ? 'not msgpack' : 'not an array of 3')
      return -1
    }
    if (at >= end) this.#fail('truncated')
    return at < end ? at : -1
  }

  #fail(reason: string): undefined {
    this.#reason = reason
    this.#next = -1
    return undefined
  }

  /** Over the value at `at`, without building it. */
  #skip(bytes: Buffer, at: number, end: number): void {
    this.#next = this.#scanner.scan(bytes, at, end, Math.min(this.#limits.maxNodes, this.#budget))
    if (this.#next < 0) this.#reason = this.#scanner.reason
    else this.#budget -= this.#scanner.nodes
    // What numbers they would have got is not known.
    if (this.#scanner.hasShapes) this.#plain.shapes = lostShapes
  }

  /** The id at `at`, or undefined where there is no scalar or one too long to be the key of a table. */
  #id(bytes: Buffer, at: number, end: number): EventId | undefined {
    const width = at < end ? scalarBytes(bytes[at]!) : 0
    if (width > 0 && at + width <= end) this.#next = at + width
    else if (this.#plain.span(bytes, at, end) >= 0) this.#next = this.#plain.next
    else {
      // An array, a map or an ext, or nothing whole.
      this.#skip(bytes, at, end)
      return undefined
    }
    return this.#next - at > maxIdBytes ? undefined : idAt(bytes, at, this.#next)
  }

  #value(bytes: Buffer, at: number, end: number): unknown {
    this.#undecodable = undefined
    const plain = this.#plain.value(bytes, at, end, Math.min(this.#limits.maxNodes, this.#budget))
    this.#next = this.#plain.next
    if (this.#next >= 0) {
      this.#budget -= this.#plain.nodes
      return plain
    }
    this.#skip(bytes, at, end)
    if (this.#next < 0) return undefined
    const { hasShapes, hasViews, hasUnsafeIntegers, marks } = this.#scanner
    if (hasShapes) {
      this.#undecodable = 'maps without keys'
      return undefined
    }
    let slice = bytes.subarray(at, this.#next)
    if (marks.length > 0) slice = doubleMarks(slice, marks, at)
    else if (hasViews && slice.length * 2 < bytes.length) {
      // What decodes to a view would hold the whole frame for as long as somebody keeps it. The memory is its own:
      // that of Node's pool would be shared in turn.
      const copy = Buffer.allocUnsafeSlow(slice.length)
      slice.copy(copy)
      slice = copy
    } else if (hasViews) this.lends = true
    try {
      return this.#decoder.decode(slice, hasUnsafeIntegers)
    } catch (error) {
      this.#undecodable = error instanceof Error ? error.message : 'cannot be decoded'
      return undefined
    }
  }
}

/**
 * Collects encoded events; `take()` hands the bytes over. Byte for byte what zerorpc-python sends: keys in the order
 * message_id, v, response_to, then the others; every integer and length in its shortest form.
 */
export class EventWriter {
  readonly #limits: EventLimits
  readonly #sendable: Sendable
  readonly #slab = new Slab()
  readonly #plain: PlainWriter
  readonly #encoder: AnyEncoder
  #count = 0
  #isWriting = false
  #byShape = false

  /** @param known the shapes that all writers of a socket share. */
  constructor(limits: Partial<EventLimits> = {}, known: SentShapes = new SentShapes()) {
    this.#limits = { ...defaultLimits, ...limits }
    this.#sendable = new Sendable(this.#limits)
    this.#plain = new PlainWriter(this.#slab, this.#limits, known)
    this.#encoder = new AnyEncoder(this.#limits.maxDepth)
  }

  /** Bytes written and not taken. */
  get byteLength(): number {
    return this.#slab.byteLength
  }

  /** Events written and not taken. */
  get count(): number {
    return this.#count
  }

  /**
   * Appends one event. On an error the writer is exactly as before.
   * @param byShape whether keys of records may be left out that the message has already, which zask peers read.
   * @returns its size in bytes.
   * @throws ZaskError ZASK_WIRE_NOT_ENCODABLE, ZASK_WIRE_TOO_LARGE
   */
  write(header: OutgoingHeader, name: string, args: unknown, byShape: boolean = false): number {
    if (this.#isWriting) throw this.#sendable.unreadable(new Error('a getter wrote an event meanwhile'), '')
    this.#isWriting = true
    const slab = this.#slab
    const plain = this.#plain
    let shapes = plain.shapes
    this.#byShape = byShape
    try {
      this.#header(header)
      plain.text(name)
      this.#value(args, '')
      const size = slab.at - slab.end
      const { maxBytes } = this.#limits
      if (size > maxBytes) throw tooLarge(`the event ${name}`, size, maxBytes)
      slab.commit()
      shapes = plain.shapes
      this.#count++
      return size
    } finally {
      slab.discard()
      plain.forget(shapes)
      this.#isWriting = false
    }
  }

  /** The bytes of all events written so far, in memory that is never written again; the writer starts anew. */
  take(): Buffer {
    if (this.#isWriting) throw this.#sendable.unreadable(new Error('a getter took the events meanwhile'), '')
    this.#count = 0
    this.#plain.newMessage()
    return this.#slab.take()
  }

  #header(header: OutgoingHeader): void {
    const { extra } = header
    const further = extra === undefined ? [] : furtherKeys(extra)
    writeHead(this.#slab, header, further.length)
    for (const key of further) {
      this.#plain.text(key)
      this.#value(extra![key], `header.${key}`)
    }
  }

  #value(value: unknown, name: string): void {
    if (this.#writesPlain(value, this.#byShape)) return
    if (this.#plain.sawBytes && this.#writesPlain(value, false)) return
    const slab = this.#slab
    const bytes = this.#encode(value, name)
    const { maxBytes } = this.#limits
    if (bytes.length > maxBytes) throw tooLarge(name === '' ? 'the value' : name, bytes.length, maxBytes)
    slab.reserve(bytes.length)
    slab.bytes.set(bytes, slab.at)
    slab.at += bytes.length
  }

  /** If not, nothing of it is left. */
  #writesPlain(value: unknown, byShape: boolean): boolean {
    const slab = this.#slab
    const before = slab.at - slab.end
    const { shapes } = this.#plain
    try {
      if (this.#plain.value(value, byShape)) return true
    } catch {
      // A getter threw. The walk meets it again, and can say where.
    }
    slab.at = slab.end + before
    this.#plain.forget(shapes)
    return false
  }

  /** The value's bytes, in memory of the encoder that the next call writes over. */
  #encode(value: unknown, name: string): Uint8Array {
    const sent = this.#sendable.prepare(value, name)
    try {
      return this.#encoder.encode(sent, this.#sendable.hasBigInts)
    } catch (error) {
      throw this.#sendable.unreadable(error, name)
    }
  }
}
