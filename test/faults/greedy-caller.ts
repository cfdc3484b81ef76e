import { createCore } from '../../core/index.ts'
import type { Victim } from './victim.ts'

/**
 * Asks for large answers, one each 5 ms, and says when it has asked for the first: whoever started it can then stop it,
 * so that it reads none. One that reads has eight on their way at most, and says when it has them all.
 */
const { endpoint, calls, bytes, reads } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoint: string
  calls: number
  bytes: number
  reads: boolean
}
const core = createCore()
const victim = await core.client<Victim>(endpoint)
await victim.echo('here')
// The requests leave at the end of this turn.
setImmediate(() => process.stdout.write('{"asked":true}\n'))
if (reads) {
  let [left, read] = [calls, 0]
  const reader = async (): Promise<void> => {
    while (left-- > 0) {
      const { length } = await victim.blob(bytes, 40)
      if (length === bytes) read++
    }
  }
  await Promise.all(Array.from({ length: 8 }, reader))
  process.stdout.write(`${JSON.stringify({ read })}\n`)
  await core.stop()
} else {
  for (let call = 0; call < calls; call++)
    void victim.blob(bytes, 200 + 5 * call).then(undefined, () => undefined)
}
