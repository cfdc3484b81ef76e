import { expect } from 'chai'
import { follow, type MonitorEvent } from '../../../core/wire/monitor.ts'

/** Tells so many events of a kind, without ever letting others have a turn by itself. */
function flood(type: string, count: number): { receive(): Promise<MonitorEvent | undefined> } {
  let left = count
  return { receive: () => Promise.resolve(left-- > 0 ? { type } : { type: 'end' }) }
}

async function follows(
  type: string,
  count: number,
): Promise<{ heard: number; turns: number; tookMs: number }> {
  let [heard, turns] = [0, 0]
  const since = performance.now()
  const turn = setInterval(() => turns++, 1)
  await follow(flood(type, count), () => void heard++)
  clearInterval(turn)
  return { heard, turns, tookMs: performance.now() - since }
}

describe('a monitor', () => {
  it('tells every event, and lets others have a turn in between', async () => {
    const { heard, turns } = await follows('accept', 200_000)
    expect(heard).to.equal(200_000)
    expect(turns).to.be.above(3)
  })

  it('is read slowly while nobody can be accepted, which makes libzmq rest', async () => {
    const { heard, tookMs } = await follows('accept:error', 2000)
    expect(heard).to.equal(2000)
    expect(tookMs).to.be.above(150)
  })

  it('is not read slowly because of a failure among others', async () => {
    let left = 2000
    const mixed = {
      receive: () =>
        Promise.resolve({ type: left-- <= 0 ? 'end' : left % 10 === 0 ? 'accept:error' : 'accept' }),
    }
    const since = performance.now()
    await follow(mixed, () => undefined)
    expect(performance.now() - since).to.be.below(150)
  })

  it('ends when the socket is closed, however that is told', async () => {
    const ends: (() => Promise<MonitorEvent | undefined>)[] = [
      () => Promise.resolve({ type: 'end' }),
      () => Promise.resolve(undefined),
      () => Promise.reject(new Error('EBADF')),
    ]
    for (const receive of ends) await follow({ receive }, () => expect.fail('there was no event'))
  })
})
