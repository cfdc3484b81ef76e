import { expect } from 'chai'
import { Farewell } from '../../../core/wire/farewell.ts'
import { FakeHost } from '../../support/fake-host.ts'

/** Long enough for whatever is to end by itself. */
function until(): number {
  return performance.now() + 2000
}

async function took(farewell: Farewell, flush: () => void = () => undefined): Promise<number> {
  const begun = performance.now()
  await farewell.wait(until(), flush)
  return performance.now() - begun
}

describe('the farewell of a server', () => {
  it('is over at once where nobody got anything, or long ago', async () => {
    const host = new FakeHost()
    const [never, longAgo] = [host.peer({ zask: true }), host.peer({ zask: true })]
    longAgo.sentAt = performance.now() - 10_000
    expect(await took(new Farewell([never, longAgo]))).to.be.below(1000)
    expect(host.said).to.deep.equal([])
  })

  it('gives a plain peer 50 ms from the last message it got', async () => {
    const host = new FakeHost()
    const [recent, earlier] = [host.peer(), host.peer()]
    recent.sentAt = performance.now()
    earlier.sentAt = performance.now() - 1000
    expect(await took(new Farewell([earlier]))).to.be.below(1000)
    expect(await took(new Farewell([recent, earlier]))).to.be.within(40, 1500)
    expect(host.said).to.deep.equal([])
  })

  it('asks a zask peer until it has answered or is gone', async () => {
    const host = new FakeHost()
    const [answering, leaving] = [host.peer({ zask: true }), host.peer({ zask: true })]
    for (const peer of [answering, leaving]) peer.sentAt = performance.now()
    const farewell = new Farewell([answering, leaving])
    let rounds = 0
    await farewell.wait(until(), () => {
      for (const peer of [answering, leaving]) peer.flush()
      rounds++
      if (rounds === 2) farewell.done(answering)
      if (rounds === 3) farewell.done(leaving)
    })
    expect(rounds).to.equal(3)
    await new Promise((resolve) => setImmediate(resolve))
    expect(host.said).to.deep.equal(Array.from({ length: 5 }, () => ['_zask_read', null]))
    expect(host.events.every(({ header }) => header['response_to'] === undefined)).to.equal(true)
  })

  it('does not wait longer than it is told', async () => {
    const host = new FakeHost()
    const silent = host.peer({ zask: true })
    silent.sentAt = performance.now()
    const begun = performance.now()
    await new Farewell([silent]).wait(begun + 100, () => silent.flush())
    expect(performance.now() - begun).to.be.within(95, 2000)
  })
})
