import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { mutate, mutations } from './arbitraries.ts'

/** ZMTP 3 as bytes (ZeroMQ RFC 37): what a peer without libzmq writes to a TCP connection. */
export const greeting = (mechanism: string, minor: number): Buffer =>
  Buffer.concat([
    Buffer.from('ff00000000000000017f03', 'hex'),
    Buffer.from([minor]),
    Buffer.from(mechanism.padEnd(20, '\0'), 'latin1'),
    Buffer.alloc(32),
  ])

function frame(flags: number, body: Buffer): Buffer {
  if (body.length < 256) return Buffer.concat([Buffer.from([flags, body.length]), body])
  const head = Buffer.alloc(9)
  head[0] = flags | 0x02
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}

function command(name: string, data: Buffer): Buffer {
  return frame(0x04, Buffer.concat([Buffer.from([name.length]), Buffer.from(name), data]))
}

function property(name: string, value: string): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(value.length)
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), size, Buffer.from(value)])
}

const ready = (type: string, identity: string): Buffer =>
  command('READY', Buffer.concat([property('Socket-Type', type), property('Identity', identity)]))

const request = (id: number): Buffer =>
  Buffer.concat([
    frame(0x01, Buffer.alloc(0)),
    frame(0x00, Buffer.from(encode([{ message_id: id, v: 3 }, 'echo', [id]]))),
  ])

/**
 * What one connection writes: its handshake and, once that is answered, the rest. libzmq takes what comes before its
 * own part of the handshake for a breach of it.
 */
export type Conversation = readonly [opening: Buffer, rest: Buffer]

/** One without fault, that the server answers: what the others are made of. */
export const soundConversation: Conversation = [
  Buffer.concat([greeting('NULL', 1), ready('DEALER', '')]),
  Buffer.concat([command('PING', Buffer.from([0, 10])), request(1)]),
]

const parts: fc.Arbitrary<Buffer> = fc.oneof(
  fc.integer({ min: 0, max: 100 }).map(request),
  fc.constantFrom(
    command('PING', Buffer.from([0, 10, 1, 2, 3])),
    command('PONG', Buffer.alloc(16)),
    command('PING', Buffer.alloc(0)),
    command('SUBSCRIBE', Buffer.alloc(0)),
    command('ERROR', Buffer.from('\x03no!')),
    command('READY', Buffer.alloc(3, 0xff)),
    // A command between the frames of one message.
    Buffer.concat([
      frame(0x01, Buffer.alloc(0)),
      command('PING', Buffer.from([0, 1])),
      frame(0, Buffer.from('x')),
    ]),
    // Sizes that are not kept: none of it is there.
    Buffer.from('02ffffffffffffffff', 'hex'),
    Buffer.from('027fffffffffffffff', 'hex'),
    Buffer.from('020000000000800001', 'hex'),
    Buffer.from('0000', 'hex'),
    Buffer.from('ff', 'hex'),
  ),
  fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 }))
    .map(([flags, body]) => frame(flags, Buffer.from(body))),
)

const openings: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.constantFrom('NULL', 'NULL', 'NULL', 'PLAIN', 'CURVE', 'X', ''),
        fc.constantFrom(0, 1, 1, 255),
        fc.constantFrom('DEALER', 'DEALER', 'REQ', 'ROUTER', 'PUB', 'SUB', 'STREAM', ''),
        fc.constantFrom('', 'me', '\0me', 'x'.repeat(255)),
      )
      .map(([mechanism, minor, type, identity]) =>
        Buffer.concat([greeting(mechanism, minor), ready(type, identity)]),
      ),
  },
  // The handshakes of ZMTP 1 and 2, and what is none.
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      Buffer.from('0100', 'hex'),
      Buffer.from('01000100', 'hex'),
      Buffer.from('ff00000000000000017f0105', 'hex'),
      Buffer.from('ff00000000000000017f0005', 'hex'),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from('16030100', 'hex'),
    ),
  },
)

/** Sound at their start, then anything, and changed at random places of either part. */
export const conversations: fc.Arbitrary<Conversation> = fc
  .tuple(openings, fc.array(parts, { maxLength: 6 }), fc.constantFrom(undefined, 0, 1, 1), mutations)
  .map(([opening, rest, changed, list]) => {
    const after = Buffer.concat(rest)
    return [changed === 0 ? mutate(opening, list) : opening, changed === 1 ? mutate(after, list) : after]
  })
