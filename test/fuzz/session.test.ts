import fc from 'fast-check'
import { cases, patienceMs, seed } from './budget.ts'
import { methods, Session } from './session.ts'

interface Model {
  steps: number
}

/** One thing that a peer, the service or time does. */
class Step implements fc.AsyncCommand<Model, Session> {
  readonly #name: string
  readonly #act: (session: Session) => unknown

  constructor(name: string, act: (session: Session) => unknown) {
    this.#name = name
    this.#act = act
  }

  check(): boolean {
    return true
  }

  async run(model: Model, session: Session): Promise<void> {
    model.steps++
    await this.#act(session)
    await session.check()
  }

  toString(): string {
    return this.#name
  }
}

const peers = fc.constantFrom('anna', 'bert', 'carl')
// Few, so that they meet again.
const ids = fc.constantFrom('1', '2', '3', '4', '5', '6')
const credits = fc.oneof(
  fc.integer({ min: 1, max: 5 }),
  fc.constantFrom<unknown>(0, -1, 1.5, Number.NaN, 10_000, 10_001, 2 ** 53, '1', null, [], true),
)
const bytes = fc.uint8Array({ maxLength: 40 }).map((list) => Buffer.from(list))

function say(
  name: fc.Arbitrary<string>,
  args: fc.Arbitrary<unknown>,
  opens: fc.Arbitrary<boolean>,
): fc.Arbitrary<Step> {
  return fc
    .tuple(peers, ids, ids, name, args, opens, fc.boolean())
    .map(
      ([peer, id, to, event, value, opening, zask]) =>
        new Step(
          `${peer}: ${event}(${JSON.stringify(value)}) ${opening ? `opens ${id}` : `on ${to}`}${zask ? ' as zask' : ''}`,
          (session) => session.say(peer, id, opening ? undefined : to, event, value, zask),
        ),
    )
}

const seldom = fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0)
const mostly = seldom.map((is) => !is)

const steps: fc.Arbitrary<Step>[] = [
  say(fc.constantFrom(...methods), fc.constantFrom<unknown>([3], [200], [], 'x', null), mostly),
  say(fc.constantFrom(...methods), fc.constantFrom<unknown>([3], [200]), mostly),
  say(
    fc.constant('_zpc_more'),
    fc.oneof(
      credits.map((credit) => [credit]),
      fc.constantFrom<unknown>(null, 5),
    ),
    seldom,
  ),
  say(fc.constant('_zpc_hb'), fc.constant([0]), seldom),
  say(fc.constant('_zask_cancel'), fc.constant(null), seldom),
  say(fc.constantFrom('OK', 'ERR', 'STREAM', 'STREAM_DONE', ''), fc.constantFrom<unknown>(null, [1]), seldom),
  fc
    .tuple(peers, bytes)
    .map(
      ([peer, junk]) =>
        new Step(`${peer}: ${junk.toString('hex')}`, (session) => session.server.deliver(peer, junk)),
    ),
  fc
    .tuple(peers, fc.constantFrom('sent', 'full', 'unreachable'))
    .map(
      ([peer, fate]) =>
        new Step(`libzmq says ${fate} of ${peer}`, (session) => session.server.fates.set(peer, fate)),
    ),
  fc.constant(new Step('a method ends', ({ acts }) => acts.pending.shift()?.resolve('done'))),
  fc.constant(new Step('a method fails', ({ acts }) => acts.pending.shift()?.reject(new Error('failed')))),
  fc
    .constantFrom(10, 500, 6_000, 40_000)
    .map((ms) => new Step(`${ms} ms pass`, (session) => session.clock.pass(ms))),
]

describe('a server in sessions that nobody has thought of', function () {
  this.timeout(patienceMs(60_000))

  it('keeps its bounds, its credit and its promises to the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: 40 }), async (commands) => {
        const session = new Session()
        try {
          await fc.asyncModelRun(() => ({ model: { steps: 0 }, real: session }), commands)
        } finally {
          await session.finish()
        }
      }),
      { numRuns: cases(2), seed },
    )
  })
})
