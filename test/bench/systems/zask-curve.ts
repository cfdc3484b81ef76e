import { createCore, curveKeyPair } from 'zask'
import type { AdapterOptions, BenchClient, BenchServer } from '../system.ts'
import { Echo } from './zask.ts'

/** As `zask` without plugins, each message encrypted. The key of the server travels in the address. */
export async function serve(_options: AdapterOptions): Promise<BenchServer> {
  const core = createCore()
  const { publicKey, secretKey } = curveKeyPair()
  const curve = { secretKey, allow: 'any' } as const
  const started = await core.start(new Echo(), { bind: 'tcp://127.0.0.1:*', signals: false, curve })
  return { address: `${started.endpoints[0]} ${publicKey}`, stop: () => core.stop() }
}

export async function connect(address: string, _options: AdapterOptions): Promise<BenchClient> {
  const [endpoint = '', serverKey = ''] = address.split(' ')
  const core = createCore()
  const client = await core.client<Echo>(endpoint, { timeoutMs: 60_000, curve: { serverKey } })
  return {
    echo: (value) => client.echo(value),
    countTo: (last) => client.countTo(last),
    stop: () => core.stop(),
  }
}
