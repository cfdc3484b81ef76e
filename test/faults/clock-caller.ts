import { createCore } from '../../core/index.ts'
import type { Victim } from './victim.ts'

/**
 * A caller whose clock is set while it calls: ten calls of six beats, and one that times out after four. It says when
 * they are on their way, and in the end how each fared.
 */
const { endpoint, beatMs, steps } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoint: string
  beatMs: number
  steps: number
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const core = createCore()
const victim = await core.client<Victim>(endpoint, { heartbeat: { intervalMs: beatMs } })
const seen = []
for (let step = 0; step < steps; step++) {
  const [date, { date: serverDate }] = [Date.now(), await victim.state()]
  const begun = performance.now()
  const calls = Array.from({ length: 10 }, (_, index) => victim.mark(`${step}-${index}`, 6 * beatMs))
  const late = victim.$call('mark', [`${step}-late`, 60 * beatMs], { timeoutMs: 4 * beatMs }).then(
    () => 0,
    () => performance.now() - begun,
  )
  say({ [`calling${step}`]: true })
  const endings = await Promise.allSettled(calls)
  const passedMs = performance.now() - begun
  seen.push({
    answered: endings.filter(({ status }) => status === 'fulfilled').length,
    failures: endings.flatMap((ending) => (ending.status === 'rejected' ? [String(ending.reason)] : [])),
    timeoutMs: await late,
    steppedSeconds: (Date.now() - date - passedMs) / 1000,
    serverSteppedSeconds: ((await victim.state()).date - serverDate - passedMs) / 1000,
  })
}
say({ seen })
await core.stop()
