import { expect } from 'chai'
import { hashOf, PythonServer, requirePython, runRudeClient, runScript, type Step } from './python-peer.ts'

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** A judge that never objects proves nothing: each thing it must see is done to it once. */
describe('interop: the Python peer as a judge', () => {
  before(function () {
    requirePython(this)
  })

  it('finds no fault in a session with its own kind', async () => {
    const server = await PythonServer.start({ heartbeat: 0.5 })
    const session: Step[] = [
      { call: 'add', args: [1, 4] },
      { call: 'fail', args: ['no'] },
      { call: 'nope' },
      { call: 'stream', args: [500], delay: 0.001 },
      { call: 'stream', args: [25], slots: 10 },
      { call: 'empty_stream' },
      { call: 'stream_error', args: [3] },
      { call: 'slow', args: [2] },
      { call: 'add', args: [1], beat_first: true },
      { call: 'kind', args: [2n ** 64n - 1n] },
      { call: 'stream', args: [1000], take: 5 },
      { call: 'add', args: [5], burst: 50 },
    ]
    const { steps, ...end } = await runScript(server.endpoint, session, { heartbeat: 0.5 })
    const served = await server.stop()

    expect(steps.map((step) => step.value)).to.deep.include.members([5, 2, ['int', '18446744073709551615']])
    expect(steps[1]?.error?.slice(0, 2)).to.deep.equal(['ValueError', 'no'])
    expect(steps[2]?.error?.slice(0, 2)).to.deep.equal(['NameError', 'nope'])
    expect(steps[3]).to.include({ count: 500, hash: hashOf(numbers(500)), terminal: 'STREAM_DONE' })
    expect(steps[4]).to.include({ count: 25, hash: hashOf(numbers(25)) })
    expect(steps[5]).to.include({ count: 0, terminal: 'STREAM_DONE' })
    expect(steps[6]).to.include({ count: 3, terminal: 'ERR' })
    expect(steps[7]?.value).to.equal(2)
    expect(steps[11]?.results?.map((one) => one.value)).to.deep.equal(numbers(50).map((i) => i + 5))
    expect(end).to.deep.include({ violations: [], open: 0, lost: 0 })
    expect(served.violations).to.deep.equal([])
  })

  it('sees every fault of a client, and goes on serving the others', async () => {
    const server = await PythonServer.start()
    await runRudeClient(server.endpoint, [
      'malformed: bytes',
      'malformed: int keys',
      'malformed: utf-8',
      'malformed: no id',
      'delimiter',
      'version',
      'name',
      'request',
      'trailing bytes',
      'unknown channel',
      'control burst',
      'credit exceeded',
      'credit grant',
      'id type',
      'message_id reused',
      'duplicate channel',
    ])
    const { steps } = await runScript(server.endpoint, [{ wait: 0.3 }, { call: 'add', args: [1, 2] }])
    const { violations } = await server.stop()

    expect(steps[1]?.value).to.equal(3)
    expect(violations.map((one) => one.violation).toSorted()).to.deep.equal([
      'control burst',
      'credit exceeded',
      'credit grant',
      'delimiter',
      'duplicate channel',
      'id type',
      'malformed',
      'malformed',
      'malformed',
      'malformed',
      'message_id reused',
      'message_id reused', // a channel cannot be opened twice without it
      'name',
      'request',
      'trailing bytes',
      'unknown channel',
      'version',
    ])
  })

  it('sees every fault of a server', async () => {
    const server = await PythonServer.startRude()
    const faults = ['credit exceeded', 'after the end', 'answer', 'id type', 'request to a client']
    const steps = faults.map((fault) => ({ call: fault, timeout: 0.2, delay: 0.05 }))
    const report = await runScript(server.endpoint, steps)
    await server.kill()

    // Not step by step: what comes after an answer is seen when it comes.
    expect([...new Set(report.violations.map((one) => one.violation))]).to.deep.equal(faults)
  })
})
