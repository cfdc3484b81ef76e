import { pack, RawRouter, type RawMessage } from '../support/raw-peer.ts'

/**
 * A server that does not keep to the protocol: what is called tells it how. In lines of JSON it says where it is.
 */
// Without a limit: a ROUTER drops in silence what is beyond it, and an answer after a flood would be missing.
const router = new RawRouter({ sendHighWaterMark: 0 })
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A flood of control events, then the answer. */
async function flood(request: RawMessage, name: string, args: unknown): Promise<void> {
  for (let batch = 0; batch < 10; batch++) {
    for (let event = 0; event < 10; event++) void router.reply(request, name, args)
    await pause(10)
  }
  await router.reply(request, 'OK', ['after the flood'])
}

const lies: Readonly<Record<string, (request: RawMessage) => unknown>> = {
  answer: (request) => router.reply(request, 'OK', ['well']),
  silence: () => undefined,
  async twice(request) {
    await router.reply(request, 'OK', ['first'])
    await router.reply(request, 'OK', ['second'])
    await router.reply(request, 'ERR', ['Late', 'third', ''])
  },
  async late(request) {
    await pause(2000)
    await router.reply(request, 'OK', ['too late'])
  },
  unknown: (request) => router.reply(request, 'NEWS', ['?']),
  err0: (request) => router.reply(request, 'ERR', []),
  err1: (request) => router.reply(request, 'ERR', ['one text']),
  err5: (request) => router.reply(request, 'ERR', ['Name', 'text', '', 4, 5]),
  errMap: (request) => router.reply(request, 'ERR', { name: 'Name' }),
  noArray: (request) => router.reply(request, 'OK', 'bare'),
  empty: (request) => router.reply(request, 'OK', []),
  async stream(request) {
    for (const item of [1, 2]) await router.reply(request, 'STREAM', item)
    await router.reply(request, 'STREAM_DONE', null)
    await router.reply(request, 'OK', ['after its end'])
    await router.reply(request, 'STREAM', 3)
  },
  otherType(request) {
    const id = request.events[0]?.header['message_id'] as Uint8Array | string
    const other = typeof id === 'string' ? Buffer.from(id) : Buffer.from(id).toString('latin1')
    return router.replyRaw(request, pack({ message_id: 'x', v: 3, response_to: other }, 'OK', ['whose?']))
  },
  junk: (request) => router.replyRaw(request, Buffer.from('c1c1c1c1', 'hex')),
  beats: (request) => flood(request, '_zpc_hb', [0]),
  credit: (request) => flood(request, '_zpc_more', [10_000]),
  badCredit: (request) => router.reply(request, '_zpc_more', [-1]),
}

const endpoint = await router.bind()
process.stdout.write(`${JSON.stringify({ endpoint, lies: Object.keys(lies) })}\n`)
for (;;) {
  const request = await router.next().catch(() => undefined)
  if (request === undefined) continue
  const { name = '', header } = request.events[0] ?? {}
  if (header?.['response_to'] === undefined && Object.hasOwn(lies, name)) void lies[name]?.(request)
}
