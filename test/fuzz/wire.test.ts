import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import fc from 'fast-check'
import type { Client } from 'zask'
import { repository, sourceCondition, Spawned } from '../support/processes.ts'
import { pause, RawDealer, until } from '../support/raw-peer.ts'
import { World } from '../support/world.ts'
import { measured } from '../faults/measured.ts'
import { again, cases, defaultCases, patienceMs, seed } from './budget.ts'
import { corpus } from './corpus.ts'
import { messages } from './junk.ts'
import type { Target, TargetState } from './target.ts'
import { type Conversation, conversations, soundConversation } from './zmtp.ts'

const MiB = 2 ** 20
/** After so many cases the server is asked whether it is well. */
const batch = 100

describe('a server on a port that anybody can write to', function () {
  this.timeout(patienceMs(60_000))

  let world: World
  let child: Spawned
  let endpoint: string
  let good: Client<Target>
  let before: TargetState
  let slowestMs: number

  beforeEach(async () => {
    world = new World()
    slowestMs = 0
    // The young generation may take 128 MiB by itself: what is looked for would hide behind it.
    const memory = ['--expose-gc', '--max-old-space-size=128', '--max-semi-space-size=8']
    const flags = [sourceCondition, ...memory, 'test/fuzz/target.ts']
    // As docs/deploy.md has it: how much glibc keeps of what many threads gave back is chance, and a third of the whole.
    const env = { MALLOC_ARENA_MAX: '2' }
    child = new Spawned(process.execPath, flags, { cwd: repository, env }, patienceMs(60_000))
    world.add(child, async (one) => {
      one.signal('SIGKILL')
      await one.ended
    })
    await child.until((output) => output.includes('\n'))
    endpoint = child.output.trim()
    good = (await world.client<Target>(endpoint, { timeoutMs: 15_000 })).client
    for (let call = 0; call < 200; call++) await good.echo(call)
    before = await good.state()
  })
  afterEach(() => world.close())

  /** A good caller is answered, now. */
  async function isWell(step: number): Promise<void> {
    const started = performance.now()
    const answer = await good.echo(step).catch((error: Error) => error)
    if (answer !== step) {
      throw new Error(
        `after step ${step} the server answered: ${String(answer)}\n${child.output}\n${again('wire')}`,
      )
    }
    slowestMs = Math.max(slowestMs, performance.now() - started)
  }

  /** When those who wrote are gone, nothing of them is left. */
  async function isClean(what: string): Promise<TargetState> {
    const isWhole = cases(100) > defaultCases
    let state = await good.state()
    for (let round = 0; state.channels > 0 && round < (isWhole ? 400 : 20); round++) {
      await pause(100)
      state = await good.state()
    }
    const grown = (state.rssBytes - before.rssBytes) / MiB
    console.log(
      `      ${what}; slowest good answer ${slowestMs.toFixed(0)} ms, longest turn ${state.longestTurnMs.toFixed(0)} ms, ` +
        `resident memory +${grown.toFixed(0)} MiB`,
    )
    measured('P12', `${what}: the event loop was held up for, at most`, state.longestTurnMs, 'ms')
    expect(state.longestTurnMs, again('wire')).to.be.below(250)
    // A channel that a credit has opened waits 30 s for its request, though nobody is there any more to make it.
    expect(state.channels, again('wire')).to.be.at.most(isWhole ? 0 : 20)
    expect((state.liveBytes - before.liveBytes) / MiB, again('wire')).to.be.below(16)
    expect(grown, again('wire')).to.be.below(100)
    return state
  }

  it('answers a good caller whatever ZeroMQ messages others send in between', async () => {
    const count = Math.ceil(cases(24) / batch)
    let bad: RawDealer | undefined
    for (let step = 0; step < count; step++) {
      // A new connection now and then: what the old one has left open must end with it.
      if (step % 10 === 0) {
        bad?.close()
        bad = world.dealer(endpoint, { sendHighWaterMark: 10_000 })
      }
      const sent = fc.sample(messages, { numRuns: batch, seed: seed + step })
      await Promise.all(sent.map((frames) => (bad as RawDealer).sendFrames(frames)))
      await isWell(step)
    }
    bad?.close()
    const state = await isClean(`${count * batch} messages`)
    // The junk came to where it is read, in all its kinds.
    const reasons = Object.keys(state.dropped)
    expect(reasons).to.include.members(['no message_id', 'not an array of 3', 'too many parts', 'truncated'])
    expect(state.served).to.be.above(count * 10)
  })

  it('answers a good caller whatever is written to its port by what is no ZeroMQ', async () => {
    const port = Number(endpoint.split(':').at(-1))
    const count = Math.ceil(cases(2) / batch)
    const sound = new Connected(port, soundConversation)
    await until('the answer to the one sound conversation', () => sound.received.includes('OK'))
    sound.close()
    for (let step = 0; step < count; step++) {
      const written = fc.sample(conversations, { numRuns: batch, seed: seed + step })
      const open = written.map((bytes) => new Connected(port, bytes))
      await Promise.all(open.map((one) => one.written))
      await isWell(step)
      for (const one of open) one.close()
    }
    const state = await isClean(`${count * batch} connections`)
    // Among them were some that were understood.
    expect(state.served).to.be.above(count)
    expect(state.dropped).to.include.keys('not an array of 3')
  })

  it('answers a good caller while every bomb of the corpus comes in', async () => {
    const bad = world.dealer(endpoint)
    for (const [step, { bytes }] of corpus.entries()) {
      await bad.sendFrames(['', bytes()])
      await isWell(step)
    }
    bad.close()
    await isClean(`${corpus.length} bombs`)
  })
})

/** A TCP connection that writes what it is told, reads what comes, and takes every end. */
class Connected {
  readonly written: Promise<void>
  received = ''
  readonly #socket: Socket

  constructor(port: number, [opening, rest]: Conversation) {
    const socket = connect(port, '127.0.0.1')
    this.#socket = socket
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
    })
    this.written = new Promise((resolve) => {
      // Refused, reset or ended: each is an answer to junk.
      socket.on('error', () => resolve())
      socket.on('close', () => resolve())
      socket.write(opening)
      let waiting = true
      const goOn = (): void => {
        if (waiting) socket.write(rest, () => resolve())
        waiting = false
        clearTimeout(impatience)
      }
      // The answer to a handshake has 107 bytes; junk waits for it in vain.
      const impatience = setTimeout(goOn, 50)
      socket.on('data', () => {
        if (this.received.length >= 107) goOn()
      })
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}
