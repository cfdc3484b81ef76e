import { type Core, createCore, type Plugin, type StartOptions } from 'zask'
import { headers } from 'zask/plugins/headers'
import type { RawDealer, RawEvent } from './raw-peer.ts'
import type { World } from './world.ts'

/** A service that only callers with a key may call, and that counts who got in. */
export class Guarded {
  static readonly service: string = 'guarded'
  static readonly version: string = '1.0'
  runs = 0

  hello(): string {
    this.runs++
    return 'world'
  }

  echo(value: unknown): unknown {
    this.runs++
    return value
  }
}

export interface GuardedServer {
  readonly core: Core
  readonly endpoint: string
  readonly service: Guarded
  readonly dealer: RawDealer
}

/** The keys of the service, and those of another that is configured beside it. */
export const rightKey = 'right-key-5d41402a'
export const otherKey = 'other-key-7d793037'

/** Serves it with the plugin headers, before plugins that a test adds. */
export async function serveGuarded(
  world: World,
  plugins: readonly Plugin[] = [headers()],
  options: StartOptions & { config?: Record<string, unknown>; service?: Guarded } = {},
): Promise<GuardedServer> {
  const { config, service = new Guarded(), ...start } = options
  const core = createCore({
    plugins,
    config: { DEBUG: false },
  }) as Core
  world.add(core, (one) => one.stop())
  core.config.fromObject(
    {
      ZERORPC_GUARDED: { '1.0': 'tcp://127.0.0.1:*', client_keys: [rightKey], access_key: rightKey },
      ZERORPC_OTHER: { '1.0': 'tcp://127.0.0.1:1', client_keys: [otherKey], access_key: otherKey },
      ZERORPC_OPEN: { '1.0': 'tcp://127.0.0.1:2', access_key: null },
      ...config,
    },
    'test',
  )
  const { endpoints } = await core.start(service, { bind: 'tcp://127.0.0.1:*', signals: false, ...start })
  const endpoint = endpoints[0] as string
  return { core, endpoint, service, dealer: world.dealer(endpoint) }
}

/** A call with headers made by hand. */
export async function callWith(
  dealer: RawDealer,
  method: string,
  args: unknown,
  header: object,
): Promise<RawEvent> {
  const id = dealer.request(method, args, header)
  for (;;) {
    const found = dealer.events.find(
      (event) => event.header['response_to'] === id && !event.name.startsWith('_'),
    )
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
