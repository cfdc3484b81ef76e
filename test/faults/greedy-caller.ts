import { createCore } from '../../core/index.ts'
import type { Victim } from './victim.ts'

/**
 * Asks for many large answers, one each few milliseconds. It says when it has asked, so that whoever started it can stop
 * it and it reads none; else it says when it has read them all.
 */
const { endpoint, calls, bytes } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoint: string
  calls: number
  bytes: number
}
const core = createCore()
const victim = await core.client<Victim>(endpoint)
await victim.echo('here')
const answers = Array.from({ length: calls }, (_, call) => victim.blob(bytes, 200 + 5 * call))
// The requests leave at the end of this turn.
setImmediate(() => process.stdout.write('{"asked":true}\n'))
const read = (await Promise.allSettled(answers)).filter(({ status }) => status === 'fulfilled').length
process.stdout.write(`${JSON.stringify({ read })}\n`)
await core.stop()
