import { setTimeout as sleep } from 'node:timers/promises'
import { createCore } from '../../core/index.ts'
import type { Victim } from './victim.ts'

/**
 * A caller whose clock is set while it calls: ten calls of six beats, and one that times out. It says when they are
 * on their way, and in the end how each fared and what times its clock and that of the service have shown.
 */
const { endpoint, beatMs, timeoutMs } = JSON.parse(process.argv[2] ?? '{}') as {
  endpoint: string
  beatMs: number
  timeoutMs: number
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const core = createCore()
const victim = await core.client<Victim>(endpoint, {
  heartbeat: { intervalMs: beatMs },
  timeoutMs: 60 * beatMs,
})
const { date: serverDate } = await victim.state()
const [date, begun] = [Date.now(), performance.now()]
const calls = Array.from({ length: 10 }, (_, index) => victim.mark(`clock-${index}`, 6 * beatMs))
const late = victim.$call('mark', ['clock-late', 60 * beatMs], { timeoutMs }).then(
  () => 0,
  () => performance.now() - begun,
)
say({ calling: true })
const [steppedTo, serverSteppedTo]: [number[], number[]] = [[], []]
while (performance.now() < begun + 5.5 * beatMs) {
  const [state, passedMs] = [await victim.state(), performance.now() - begun]
  steppedTo.push((Date.now() - date - passedMs) / 1000)
  serverSteppedTo.push((state.date - serverDate - passedMs) / 1000)
  await sleep(beatMs / 5)
}
const endings = await Promise.allSettled(calls)
say({
  seen: {
    answered: endings.filter(({ status }) => status === 'fulfilled').length,
    failures: endings.flatMap((ending) => (ending.status === 'rejected' ? [String(ending.reason)] : [])),
    timedOutAfterMs: await late,
    steppedTo,
    serverSteppedTo,
    made: core.stats.made,
    wires: [core.stats, (await victim.state()).stats].map(({ wire }) => wire),
  },
})
await core.stop()
