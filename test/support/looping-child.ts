import { createCore } from '../../core/index.ts'

/** A service with a method that never comes back, in a process of its own. */
class Looping {
  forever(): never {
    for (;;) Math.sqrt(2)
  }
}

const core = createCore({ blockedLoopMs: 100 })
const { endpoints } = await core.start(new Looping(), { bind: 'tcp://127.0.0.1:*' })
process.stdout.write(`${JSON.stringify({ endpoints })}\n`)
