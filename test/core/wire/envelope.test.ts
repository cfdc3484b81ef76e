import { expect } from 'chai'
import { copyOf } from '../../../core/wire/envelope.ts'

describe('the way back to a peer', () => {
  it('is kept in memory of its own size, whatever it was part of', () => {
    const message = Buffer.alloc(1_000_000, 7)
    const frame = message.subarray(500_000, 500_005)
    const copy = copyOf(frame)
    expect(copy.equals(frame)).to.equal(true)
    // 8192 where it lies in a slab that Node shares among small buffers.
    expect(copy.buffer.byteLength).to.equal(5)
    message.fill(0)
    expect([...copy]).to.deep.equal([7, 7, 7, 7, 7])
  })
})
