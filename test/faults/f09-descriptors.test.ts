import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { descriptors, Stage, untilAnswered } from './stage.ts'

describe('F9: more connections than a process may have', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('that say nothing are thrown out, and an honest caller is served meanwhile and afterwards', async () => {
    const within = ['sh', '-c', 'ulimit -n 256; exec "$@"', 'sh']
    const { child, endpoint } = await stage.victim({}, { within })
    const { client, load } = await stage.caller(endpoint)
    await untilAnswered(load)
    const port = Number(new URL(endpoint).port)
    const before = { open: descriptors(child.process), ...(await client.state()) }
    const silent: Socket[] = []
    stage.add(silent, () => silent.forEach((socket) => socket.destroy()))
    let ended = 0
    for (let index = 0; index < times(400, 300); index++) {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('error', () => undefined).resume()
      socket.once('close', () => ended++)
      silent.push(socket)
    }
    // Who was connected before is served throughout.
    load.each(100)
    await sleep(500)
    expect(descriptors(child.process)).above(240)
    // Who comes now waits until a silent one is thrown out.
    const { load: late } = await stage.caller(endpoint)
    const servedMs = await untilAnswered(late)
    while (ended < silent.length || descriptors(child.process) > before.open + 5) await sleep(50)
    await load.settled()
    const after = await client.state()
    const cpu = (after.cpuMs - before.cpuMs) / (after.date - before.date)
    expect(Object.keys(stage.history.summary)).deep.equal(['ok'])
    expect(stage.problems()).deep.equal([])
    expect(child.process.exitCode).equal(null)
    const { wire, limits } = after.stats
    const { 'not accepted': tries = 0, 'handshake timeout': timedOut = 0, ...others } = wire.refused
    expect(tries).above(0)
    // Where it came at the same moment as the end of another connection, libzmq tells that one's reason.
    expect(timedOut).within(silent.length / 2, silent.length + 1)
    expect(timedOut + (others['unfinished handshake'] ?? 0)).at.least(silent.length)
    expect(limits.handshakeTimeoutMs).equal(timedOut)
    measured('P12', 'a new caller is served although all descriptors are taken, after', servedMs, 'ms')
    measured('P12', 'CPU of the server meanwhile', cpu * 100, '% of a core')
    expect(servedMs).below(10_000)
  })
})
