import { length } from './scan.ts'

/** Map keys as properties: numbers become text; true, nil, bytes and the like are refused as Python refuses them. */
export function keyOf(key: unknown): string {
  if (typeof key === 'string') return key
  if (typeof key === 'number' || typeof key === 'bigint') return String(key)
  throw new TypeError(
    `a map has a key that is neither text nor a number (${key === null ? 'nil' : typeof key})`,
  )
}

/** Turns each BigInt that a number can hold into that number, in place: what was decoded belongs to nobody yet. */
export function narrow(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : value
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = narrow(value[index])
  } else if (isMap(value)) {
    for (const key of Object.keys(value)) value[key] = narrow(value[key])
  }
  return value
}

/** What the decoder makes of a map; dates, bytes and ext have classes of their own. */
function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/**
 * The value with a second byte order mark before each long text that begins with one: the TextDecoder in the decoder
 * takes the first away. `marks` are positions of the texts in a frame in which the value begins at `origin`.
 */
export function doubleMarks(value: Buffer, marks: readonly number[], origin: number): Buffer {
  const parts: Buffer[] = []
  let done = 0
  for (const mark of marks) {
    const text = mark - origin
    // The head before the text has 2, 3 or 5 bytes, by its type; a long text has no fixstr.
    const head = value[text - 2] === 0xd9 ? 2 : value[text - 3] === 0xda ? 3 : 5
    const size = length(value, text - head + 1, head - 1)
    const longer = Buffer.alloc(8)
    longer[0] = 0xdb
    longer.writeUInt32BE(size + 3, 1)
    longer.write('\ufeff', 5)
    parts.push(value.subarray(done, text - head), longer)
    done = text
  }
  parts.push(value.subarray(done))
  return Buffer.concat(parts)
}
