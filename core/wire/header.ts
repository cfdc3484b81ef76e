import { ZaskError } from '../errors.ts'
import type { EventId, OutgoingHeader } from './event-shape.ts'
import { writeTagged } from './plain-writer.ts'
import type { Slab } from './slab.ts'

/** The keys that are the wire's own: as they are found, and as they are written, type byte first. */
export const messageIdKey: Buffer = Buffer.from('message_id')
export const responseToKey: Buffer = Buffer.from('response_to')
export const versionKey: Buffer = Buffer.from('v')
const messageIdToken: Buffer = Buffer.from('\xaamessage_id', 'latin1')
const responseToToken: Buffer = Buffer.from('\xabresponse_to', 'latin1')
/** `v` with its value, 3. */
const versionTokens: Buffer = Buffer.from('\xa1v\x03', 'latin1')

/** What a header takes beside its ids and further keys: array, map 16, the three keys, the version. */
const headerBytes = 1 + 3 + messageIdToken.length + responseToToken.length + versionTokens.length

/** Further keys must not have these names. `zmqid` was local to the receiver in zerorpc 0.4 and before. */
export const reservedKeys: readonly string[] = ['message_id', 'v', 'response_to', 'zmqid', '__proto__']

/** No peer known sends more than 8 keys: a header is for routing, not for data. */
export const maxHeaderKeys = 256

/** Ids are keys of tables, so a peer must not choose them large: beyond this an id counts as absent. */
export const maxIdBytes = 256

/** What an id among zask peers takes: a bin of 7 bytes. */
const shortIdBytes = 9

export const nilId: EventId = '\xc0'

/** The headers of an event that has no further keys. */
export const noHeaders: Record<string, unknown> = Object.freeze(bareRecord())

export function bareRecord(): Record<string, unknown> {
  const record: Record<string, unknown> = Object.create(null)
  return record
}

/** Writes the head of an event and the wire's own keys; `further` keys are to follow. */
export function writeHead(slab: Slab, { id, responseTo }: OutgoingHeader, further: number): void {
  slab.reserve(headerBytes + (id?.length ?? 0) + (responseTo?.length ?? 0))
  const { bytes } = slab
  let { at } = slab
  bytes[at++] = 0x93
  const keys = (id === undefined ? 1 : 2) + (responseTo === undefined ? 0 : 1) + further
  if (keys < 16) bytes[at++] = 0x80 | keys
  else at = writeTagged(bytes, at, 0xde, 2, keys)
  if (id !== undefined) at = putId(bytes, put(bytes, at, messageIdToken), id)
  at = put(bytes, at, versionTokens)
  if (responseTo !== undefined) at = putId(bytes, put(bytes, at, responseToToken), responseTo)
  slab.at = at
}

function putId(bytes: Buffer, at: number, id: EventId): number {
  if (id.length > shortIdBytes) return at + bytes.write(id, at, 'latin1')
  for (let index = 0; index < id.length; index++) bytes[at + index] = id.charCodeAt(index)
  return at + id.length
}

/** The id of these bytes. A short one is put together here: `toString` is native, and takes three times as long. */
export function idAt(bytes: Buffer, at: number, end: number): EventId {
  if (end - at !== shortIdBytes) return bytes.toString('latin1', at, end)
  return String.fromCharCode(
    bytes[at]!,
    bytes[at + 1]!,
    bytes[at + 2]!,
    bytes[at + 3]!,
    bytes[at + 4]!,
    bytes[at + 5]!,
    bytes[at + 6]!,
    bytes[at + 7]!,
    bytes[at + 8]!,
  )
}

function put(bytes: Buffer, at: number, token: Buffer): number {
  // A loop: these are too short for a native copy to be worth its call.
  for (let index = 0; index < token.length; index++) bytes[at + index] = token[index]!
  return at + token.length
}

/** How many bytes nil, a boolean or a number of this type takes; 0 for all that is none of these. */
export function scalarBytes(type: number): number {
  if (type < 0x80 || type >= 0xe0 || type === 0xc0 || type === 0xc2 || type === 0xc3) return 1
  if (type === 0xca) return 5
  if (type === 0xcb) return 9
  if (type >= 0xcc && type <= 0xcf) return 1 + (1 << (type - 0xcc))
  if (type >= 0xd0 && type <= 0xd3) return 1 + (1 << (type - 0xd0))
  return 0
}

/**
 * The keys to be sent beside the wire's own.
 * @throws ZaskError ZASK_WIRE_NOT_ENCODABLE, ZASK_WIRE_TOO_LARGE
 */
export function furtherKeys(extra: Readonly<Record<string, unknown>>): readonly string[] {
  const keys: string[] = []
  let reserved: string | undefined
  // A loop: each request has its deadline here.
  for (const key of Object.keys(extra)) {
    if (extra[key] === undefined) continue
    if (reservedKeys.includes(key)) reserved ??= key
    keys.push(key)
  }
  if (reserved !== undefined) {
    throw new ZaskError(
      'ZASK_WIRE_NOT_ENCODABLE',
      `Cannot send the header key ${reserved}: it is the wire's own. Give the key another name.`,
      { details: { path: `header.${reserved}` } },
    )
  }
  if (keys.length > maxHeaderKeys - 3) {
    throw new ZaskError(
      'ZASK_WIRE_TOO_LARGE',
      `Cannot send a header with ${keys.length} keys beside the wire's own: the limit is ${maxHeaderKeys - 3}. ` +
        'Send data as arguments.',
    )
  }
  return keys
}
