import { createCore } from '../../core/index.ts'
import type { Work } from './serving-child.ts'

/** A script as users write it: makes a client, calls, closes. With `stay` it goes on waiting for an answer. */
const { endpoint, stay } = JSON.parse(process.argv[2] ?? '{}') as { endpoint: string; stay?: boolean }
const core = createCore()
const work = await core.client<Work>(endpoint, { heartbeat: { intervalMs: 100 } })
process.stdout.write(`${JSON.stringify({ answer: await work.echo('hello') })}\n`)
if (stay === true) {
  const call = work.slow(60_000)
  process.stdout.write('{"calling":true}\n')
  await call
}
await work.$close()
process.on('exit', () =>
  process.stdout.write(`${JSON.stringify({ left: process.getActiveResourcesInfo() })}\n`),
)
