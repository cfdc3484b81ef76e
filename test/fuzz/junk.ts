import fc from 'fast-check'
import { encode } from '@msgpack/msgpack'
import { frames, mutate, mutations, piles, recordPiles, values } from './arbitraries.ts'

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((list) => Buffer.from(list))

const ids: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(1, 2, 3, 'a', '', null, true, 1.5, [1], { a: 1 }),
  bytes(300),
)
const names: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    'OK',
    'ERR',
    'STREAM',
    'STREAM_DONE',
    '_zpc_hb',
    '_zpc_more',
    '_zask_cancel',
    '_zpc_window',
  ),
  fc.constantFrom('echo', 'fail', 'countTo', 'constructor', '__proto__', '_zerorpc_inspect', '_zerorpc_ping'),
  fc.constantFrom<unknown>(null, 5, ['echo'], { a: 1 }),
  fc.string({ unit: 'binary', maxLength: 50 }),
)
const args: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, [], [3], [1000], [-1], [0.5], [2 ** 60], ['a', 'b', 'c'], 'text', 7, {}),
  values,
)
const oddKeys: fc.Arbitrary<object> = fc.dictionary(
  fc.constantFrom(
    'zask',
    'heartbeat_ms',
    'deadline_ms',
    'refused',
    'code',
    'details',
    'retryable',
    'service_name',
    'x',
  ),
  fc.oneof(fc.constantFrom<unknown>(1, 0, -1, 5, true, null, 'x', [], 1e300), values),
  { maxKeys: 4 },
)

/** An event whose parts are each what msgpack can say, and seldom what zerorpc means. */
function oddEvents(responseTo: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      fc.option(ids),
      fc.option(responseTo),
      fc.constantFrom<unknown>(3, 3, 3, 2, 1, '3', null),
      names,
      args,
      oddKeys,
    )
    .map(([id, to, version, name, value, further]) => {
      const header = {
        ...(id === null ? {} : { message_id: id }),
        ...(to === null ? {} : { response_to: to }),
        v: version,
        ...further,
      }
      return Buffer.from(encode([header, name, value], { useBigInt64: true }))
    })
}

const payloads: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 6, arbitrary: oddEvents(ids) },
  { weight: 4, arbitrary: fc.tuple(frames, mutations).map(([frame, list]) => mutate(frame, list)) },
  { weight: 2, arbitrary: fc.tuple(oddEvents(ids), mutations).map(([frame, list]) => mutate(frame, list)) },
  { weight: 2, arbitrary: bytes(200) },
  { weight: 1, arbitrary: piles },
  { weight: 1, arbitrary: recordPiles.map(({ once }) => once) },
)

/** Messages of any peer of ZeroMQ: mostly one frame after the delimiter, at times an envelope of anything. */
export const messages: fc.Arbitrary<Buffer[]> = fc.oneof(
  { weight: 9, arbitrary: payloads.map((payload) => [Buffer.alloc(0), payload]) },
  { weight: 1, arbitrary: fc.array(bytes(300), { minLength: 1, maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.array(bytes(20), { maxLength: 9 }), payloads).map(([way, last]) => [...way, last]),
  },
)

/** What a server says on a channel of ours before it answers, made for the id of that channel. */
export const answers: fc.Arbitrary<(channel: unknown) => Buffer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(names, args, oddKeys).map(
      ([name, value, further]) =>
        (channel: unknown) =>
          Buffer.from(
            encode([{ message_id: 1, v: 3, response_to: channel, ...further }, name, value], {
              useBigInt64: true,
            }),
          ),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(names, args, mutations).map(
      ([name, value, list]) =>
        (channel: unknown) =>
          mutate(
            Buffer.from(
              encode([{ message_id: 1, v: 3, response_to: channel }, name, value], { useBigInt64: true }),
            ),
            list,
          ),
    ),
  },
  { weight: 1, arbitrary: oddEvents(ids).map((junk) => () => junk) },
  { weight: 1, arbitrary: payloads.map((junk) => () => junk) },
)
