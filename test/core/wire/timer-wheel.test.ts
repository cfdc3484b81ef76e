import { expect } from 'chai'
import { stat } from 'node:fs/promises'
import { TimerEntry, TimerWheel } from '../../../core/wire/timer-wheel.ts'
import { pause, until } from '../../support/raw-peer.ts'

class Alarm extends TimerEntry {
  readonly fired: number[] = []
  readonly #then: (() => void) | undefined

  constructor(then?: () => void) {
    super()
    this.#then = then
  }

  override onTimer(): void {
    this.fired.push(performance.now())
    this.#then?.()
  }
}

function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe('the timer wheel', () => {
  let wheel: TimerWheel
  beforeEach(() => (wheel = new TimerWheel(2)))
  afterEach(() => wheel.close())

  it('wakes each entry once, never before its time, earlier ones first', async () => {
    const order: number[] = []
    const delays = [40, 1, 25, 0, 13]
    const alarms = delays.map((delay) => new Alarm(() => order.push(delay)))
    const start = performance.now()
    alarms.forEach((alarm, index) => wheel.schedule(alarm, delays[index] as number))
    expect(wheel.size).to.equal(5)
    await until('all alarms', () => order.length === 5)
    await pause(20)
    expect(order.slice(2)).to.deep.equal([13, 25, 40])
    alarms.forEach((alarm, index) => {
      expect(alarm.fired).to.have.length(1)
      expect(alarm.fired[0]).to.be.at.least(start + (delays[index] as number))
    })
    expect(wheel.size).to.equal(0)
  })

  it('waits more than one round of its slots for a time that is further away', async () => {
    // 512 slots of 1 ms: both alarms have the same slot.
    const fast = new TimerWheel(1)
    const [near, far] = [new Alarm(), new Alarm()]
    const start = performance.now()
    fast.schedule(far, 600)
    fast.schedule(near, 600 - 512)
    await until('the near alarm', () => near.fired.length === 1)
    expect(far.fired).to.deep.equal([])
    await until('the far alarm', () => far.fired.length === 1)
    expect(far.fired[0]).to.be.at.least(start + 600)
    fast.close()
  })

  it('forgets an entry that is disarmed, wherever it stands in its slot', async () => {
    const alarms = [new Alarm(), new Alarm(), new Alarm(), new Alarm()]
    for (const alarm of alarms) wheel.schedule(alarm, 20)
    wheel.cancel(alarms[0] as Alarm)
    wheel.cancel(alarms[2] as Alarm)
    wheel.cancel(alarms[2] as Alarm)
    expect(wheel.size).to.equal(2)
    await until('the others', () => wheel.size === 0)
    expect(alarms.map((alarm) => alarm.fired.length)).to.deep.equal([0, 1, 0, 1])
  })

  it('moves an entry that is armed again', async () => {
    const alarm = new Alarm()
    wheel.schedule(alarm, 5)
    const start = performance.now()
    wheel.schedule(alarm, 40)
    expect(wheel.size).to.equal(1)
    await until('the alarm', () => alarm.fired.length > 0)
    await pause(20)
    expect(alarm.fired).to.have.length(1)
    expect(alarm.fired[0]).to.be.at.least(start + 40)
  })

  it('lets an entry arm itself and disarm others of the same moment', async () => {
    const second = new Alarm()
    const first: Alarm = new Alarm(() => {
      wheel.cancel(second)
      if (first.fired.length < 3) wheel.schedule(first, 1)
    })
    // The last one armed comes first.
    wheel.schedule(second, 10)
    wheel.schedule(first, 10)
    await until('three times', () => first.fired.length === 3)
    await pause(20)
    expect(second.fired).to.deep.equal([])
    expect(wheel.size).to.equal(0)
  })

  it('never arms what is due at no time', () => {
    const alarm = new Alarm()
    wheel.schedule(alarm, 10)
    wheel.schedule(alarm, Infinity)
    wheel.schedule(new Alarm(), NaN)
    expect(wheel.size).to.equal(0)
  })

  it('goes on after it stood still for want of entries', async () => {
    const early = new Alarm()
    wheel.schedule(early, 1)
    await until('the first alarm', () => early.fired.length === 1)
    await pause(300)
    const late = new Alarm()
    const start = performance.now()
    wheel.schedule(late, 30)
    await until('the second alarm', () => late.fired.length === 1)
    expect(late.fired[0]).to.be.at.least(start + 30)
  })

  it('wakes all that are overdue when the event loop was held up for longer than a round', async () => {
    const fast = new TimerWheel(1)
    const alarms = [1, 100, 300, 511, 512, 513, 600].map((delay) => {
      const alarm = new Alarm()
      fast.schedule(alarm, delay)
      return alarm
    })
    block(650)
    await until('all alarms', () => alarms.every((alarm) => alarm.fired.length === 1))
    fast.close()
  })

  it('lets what came while the event loop was held up be read before anybody is judged', async () => {
    const order: string[] = []
    wheel.schedule(new Alarm(() => order.push('judged')), 10)
    const reading = stat(import.meta.filename).then(() => order.push('read'))
    block(400)
    await reading
    await until('both', () => order.length === 2)
    expect(order).to.deep.equal(['read', 'judged'])
  })

  it('forgets all entries when it is closed', async () => {
    const alarm = new Alarm()
    wheel.schedule(alarm, 5)
    wheel.close()
    await pause(30)
    expect(alarm.fired).to.deep.equal([])
    expect(wheel.size).to.equal(0)
  })
})
