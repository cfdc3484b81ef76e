import { createCore, type Plugin } from 'zask'
import type { AdapterOptions, BenchClient, BenchServer, Payload } from '../system.ts'

export class Echo {
  echo(value: Payload): Payload {
    return value
  }

  *countTo(last: number): Generator<number> {
    for (let i = 1; i <= last; i++) yield i
  }
}

/** Taps every hook a call goes through, and does nothing there: what remains is the cost of being asked. */
function noop(name: string): Plugin {
  return {
    name,
    apply(core) {
      core.hooks.beforeCall.tap(name, () => {})
      core.hooks.afterCall.tap(name, () => {})
      core.hooks.sessionEnd.tap(name, () => {})
    },
  }
}

function plugins(options: AdapterOptions): Plugin[] {
  return Array.from({ length: Number(options['plugins']) }, (_, i) => noop(`noop-${i + 1}`))
}

export async function serve(options: AdapterOptions): Promise<BenchServer> {
  const core = createCore({ plugins: plugins(options) })
  const started = await core.start(new Echo(), { bind: 'tcp://127.0.0.1:*', signals: false })
  return { address: started.endpoints[0]!, stop: () => core.stop() }
}

export async function connect(address: string, options: AdapterOptions): Promise<BenchClient> {
  const core = createCore({ plugins: plugins(options) })
  const client = await core.client<Echo>(address, { timeoutMs: 60_000 })
  return {
    echo: (value) => client.echo(value),
    countTo: (last) => client.countTo(last),
    stop: () => core.stop(),
  }
}
