import { createCore } from '../../core/index.ts'
import type { Work } from './serving-child.ts'

/**
 * A script as users write it: makes a client, calls, closes. With `stay` it goes on waiting for an answer; where
 * `nobody` is there to be called it gives up soon.
 */
const { endpoint, stay, nobody } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoint: string
  stay?: boolean
  nobody?: boolean
}
const core = createCore()
const work = await core.client<Work>(endpoint, { heartbeat: { intervalMs: 100 } })
const answer =
  nobody === true
    ? await work.$call('echo', ['hello'], { timeoutMs: 50 }).catch((error: Error) => error.name)
    : await work.echo('hello')
process.stdout.write(`${JSON.stringify({ answer })}\n`)
if (stay === true) {
  const call = work.slow(60_000)
  process.stdout.write('{"calling":true}\n')
  await call
}
await work.$close()
process.on('exit', () =>
  process.stdout.write(`${JSON.stringify({ left: process.getActiveResourcesInfo() })}\n`),
)
