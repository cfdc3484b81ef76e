import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encode } from '@msgpack/msgpack'

/** One frame that has done harm somewhere, or might. */
export interface CorpusEntry {
  readonly name: string
  /** The body frame. Made when asked for: some are large. */
  readonly bytes: () => Buffer
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const times = (text: string, count: number): Buffer => {
  const one = hex(text)
  return Buffer.alloc(one.length * count, one)
}

/** `[{message_id: 1, v: 3}, 'echo', …`; what follows are the args. */
export const requestHead: Buffer = Buffer.concat([
  hex('9382aa'),
  Buffer.from('message_id'),
  hex('01a17603a4'),
  Buffer.from('echo'),
])

/** The same, with a further key `x` in the header, up to its value. */
const keyedHead = Buffer.concat([hex('9383aa'), Buffer.from('message_id'), hex('01a17603a178')])
const afterKey = hex('a46563686f9101')

/** As the args of an otherwise good request, and as the value of a header key. */
function bomb(name: string, make: () => Buffer): CorpusEntry[] {
  return [
    { name: `${name}, as args`, bytes: () => Buffer.concat([requestHead, make()]) },
    { name: `${name}, in a header`, bytes: () => Buffer.concat([keyedHead, make(), afterKey]) },
  ]
}

/** Arrays within each other, each announcing as many elements as bytes are left. */
function chain(size: number, depth: number): Buffer {
  const bytes = Buffer.alloc(size, 0xc0)
  for (let level = 0; level < depth; level++) {
    bytes[level * 5] = 0xdd
    bytes.writeUInt32BE(size - level * 5 - 5, level * 5 + 1)
  }
  return bytes
}

const many = 1_000_000

const made: readonly CorpusEntry[] = [
  ...bomb('an array of 4,294,967,295', () => hex('ddffffffff')),
  ...bomb('an array of 33,554,431', () => hex('dd01ffffff')),
  ...bomb('16 of those within each other', () => times('dd01ffffff', 16)),
  ...bomb('100 of those within each other', () => times('dd01ffffff', 100)),
  ...bomb('1,000 arrays of 1,048,575', () => times('dd000fffff', 1000)),
  ...bomb('20,000 arrays of 65,535', () => times('dcffff', 20_000)),
  ...bomb('65,536 arrays of 10,000', () => times('dc2710', 65_536)),
  ...bomb('64 arrays that each claim the rest of 1 MiB', () => chain(2 ** 20, 64)),
  ...bomb('64 arrays that each claim the rest of 8 MiB', () => chain(2 ** 23, 64)),
  ...bomb('a map of 4 G', () => hex('dfffffffff')),
  ...bomb('a text of 4 G', () => hex('dbffffffff')),
  ...bomb('bytes of 4 G', () => hex('c6ffffffff')),
  ...bomb('an ext of 4 G', () => hex('c9ffffffff01')),
  ...bomb('100,000 levels', () => Buffer.concat([times('91', 100_000), hex('c0')])),
  ...bomb('1,000,000 levels', () => Buffer.concat([times('91', many), hex('c0')])),
  ...bomb('8,000,000 levels of maps', () => Buffer.concat([times('81a0', 4 * many), hex('c0')])),
  ...bomb('a map of 800,000 keys', () => Buffer.concat([hex('df000c3500'), times('a3616263c0', 800_000)])),
  ...bomb('4 M empty maps', () => Buffer.concat([hex('dd003d0900'), times('80', 4 * many)])),
  ...bomb('8 M events of one byte', () => times('c0', 8 * many)),
  ...bomb('a key given twice', () => hex('82a16101a16102')),
  ...bomb('a key that is NaN', () => hex('81cb7ff800000000000001')),
  ...bomb('the key __proto__', () => Buffer.from(encode([JSON.parse('{"__proto__": {"polluted": 1}}')]))),
  ...bomb('the key __proto__ as bytes', () =>
    Buffer.concat([hex('81c409'), Buffer.from('__proto__'), hex('01')]),
  ),
  ...bomb('the key __proto__ in overlong UTF-8', () =>
    Buffer.concat([hex('81aac19f'), Buffer.from('_proto__'), hex('01')]),
  ),
  ...bomb('the key constructor', () =>
    Buffer.from(encode([{ constructor: { prototype: { polluted: 1 } } }])),
  ),
  ...bomb('text that is not UTF-8', () => hex('91a2fffe')),
  ...bomb('300 bytes of text that is not UTF-8', () => Buffer.concat([hex('91da012c'), times('ff', 300)])),
  ...bomb('a text cut within a character', () => hex('92a1e2a358595a')),
  ...bomb('uint64 and int64 at their ends', () => hex('92cfffffffffffffffffd38000000000000000')),
  ...bomb('an unknown ext', () => hex('91d47f00')),
  ...bomb('a timestamp of no length known', () => hex('91c705ff0000000000')),
  ...bomb('a timestamp of the year 292,277,026,596', () => hex('91c70cff000000007fffffffffffffff')),
  ...bomb('a byte too many', () => hex('9101ff')),
  ...bomb('nothing', () => Buffer.alloc(0)),
  ...bomb('a byte msgpack does not have', () => hex('c1')),
  { name: 'a header of 4 G keys', bytes: () => hex('93dfffffffff') },
  { name: 'a header of 65,535 keys', bytes: () => Buffer.concat([hex('93deffff'), times('a16101', 65_535)]) },
  { name: 'an id of 8 MiB', bytes: () => idOf(Buffer.concat([hex('c600800000'), Buffer.alloc(2 ** 23)])) },
  { name: 'an id that is a chain of arrays', bytes: () => idOf(chain(2 ** 20, 64)) },
  { name: 'an id of 1,000,000 levels', bytes: () => idOf(Buffer.concat([times('91', many), hex('c0')])) },
  {
    name: 'a name of 8 MB',
    bytes: () => Buffer.from(encode([{ message_id: 1, v: 3 }, 'x'.repeat(8e6), []])),
  },
  { name: '500,000 events in one frame', bytes: () => times('9380a16dc0', 500_000) },
  {
    name: '60,000 requests in one frame',
    bytes: () => Buffer.concat(Array.from({ length: 60_000 }, (_, id) => smallRequest(id))),
  },
  {
    name: '8 MB of credit for nobody',
    bytes: () => {
      const one = Buffer.from(encode([{ message_id: 1, v: 3, response_to: 2 }, '_zpc_more', [100]]))
      return Buffer.alloc(one.length * Math.floor(8e6 / one.length), one)
    },
  },
]

function idOf(id: Buffer): Buffer {
  return Buffer.concat([hex('9382aa'), Buffer.from('message_id'), id, hex('a17603a46563686f9101')])
}

function smallRequest(id: number): Buffer {
  return Buffer.from(encode([{ message_id: id, v: 3 }, 'echo', [id]]))
}

/** Frames that were found by chance: a line of hexadecimal digits each, `#` before what is said of them. */
function found(): CorpusEntry[] {
  const folder = join(import.meta.dirname, 'corpus')
  return readdirSync(folder)
    .filter((file) => file.endsWith('.hex'))
    .toSorted()
    .flatMap((file) =>
      readFileSync(join(folder, file), 'utf8')
        .split('\n')
        .map((line, index) => ({ text: line.replace(/#.*/, '').trim(), name: `${file}:${index + 1}` }))
        .filter(({ text }) => text !== '')
        .map(({ text, name }) => ({ name, bytes: () => Buffer.from(text, 'hex') })),
    )
}

/** Every bomb that is known, and every finding. */
export const corpus: readonly CorpusEntry[] = [...made, ...found()]
