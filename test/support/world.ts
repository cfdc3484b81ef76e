import {
  type AnyService,
  type Client,
  type ClientOptions,
  type Core,
  createCore,
  type StartOptions,
} from 'zask'
import type * as zmq from 'zeromq'
import { RawDealer, RawRouter } from './raw-peer.ts'

/** All that one test opens, so that one line after it closes it. */
export class World {
  readonly #open: (() => unknown)[] = []

  /** Closes what is open, in the reverse order of its opening. */
  async close(): Promise<void> {
    for (const close of this.#open.splice(0).toReversed()) await close()
  }

  core(): Core {
    const core = createCore({ config: { DEBUG: false } })
    this.#open.push(() => core.stop())
    return core
  }

  /** A zask service on a free port, in a core of its own. */
  async serve(service: object, options: StartOptions = {}): Promise<{ core: Core; endpoint: string }> {
    const core = this.core()
    const { endpoints } = await core.start(service, {
      bind: 'tcp://127.0.0.1:*',
      signals: false,
      shutdownTimeoutMs: 100,
      ...options,
    })
    return { core, endpoint: endpoints[0] as string }
  }

  /** A zask client in a core of its own. */
  async client<T = AnyService>(
    endpoint: string,
    options: ClientOptions = {},
  ): Promise<{ core: Core; client: Client<T> }> {
    const core = this.core()
    return { core, client: await core.client<T>(endpoint, { timeoutMs: 5000, ...options }) }
  }

  dealer(endpoint: string, options?: zmq.SocketOptions<zmq.Dealer>): RawDealer {
    const dealer = new RawDealer(endpoint, options)
    this.#open.push(() => dealer.close())
    return dealer
  }

  async router(endpoint?: string): Promise<{ router: RawRouter; endpoint: string }> {
    const router = new RawRouter()
    this.#open.push(() => router.close())
    return { router, endpoint: await router.bind(endpoint) }
  }

  /** Something else to be closed with the rest. */
  add<T>(thing: T, close: (thing: T) => unknown): T {
    this.#open.push(() => close(thing))
    return thing
  }
}
