import { messageIdKey } from './header.ts'
import { Scanner } from './scan.ts'

/** Stands in place of `message_id` in the header of an event that was taken back: as long, so that it can. */
export const withdrawnKey = '_withdrawn'

/**
 * A message of several events without the one at `index`, from 0. What was written here needs no limits.
 *
 * Where events behind it may need the keys that it brings (see `shape.ts`) it stays, as one that nobody runs or answers.
 */
export function withoutEvent(payload: Buffer, index: number): Buffer {
  const scanner = new Scanner(2048)
  const after = (at: number): number => scanner.scan(payload, at, payload.length, Infinity)
  let from = 0
  for (let count = 0; count < index; count++) from = after(from)
  const to = after(from)
  if (!scanner.hasShapes || to === payload.length)
    return Buffer.concat([payload.subarray(0, from), payload.subarray(to)])
  const marked = Buffer.from(payload)
  // The first key of a header that has it.
  marked.write(withdrawnKey, marked.indexOf(messageIdKey, from), 'latin1')
  return marked
}
