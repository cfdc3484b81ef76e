import { createCore } from '../../core/index.ts'
import type { Victim } from './victim.ts'

/** Asks for many large answers, one each few milliseconds; whoever started it then stops it, so that it reads none. */
const { endpoint, calls, bytes } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoint: string
  calls: number
  bytes: number
}
const core = createCore()
const victim = await core.client<Victim>(endpoint)
await victim.echo('here')
for (let call = 0; call < calls; call++)
  void victim.blob(bytes, 200 + 5 * call).then(undefined, () => undefined)
// The requests leave at the end of this turn.
setImmediate(() => process.stdout.write('{"asked":true}\n'))
