import { isDeepStrictEqual } from 'node:util'
import { runLoad, runStream, total, type LoadOptions, type LoadResult } from './load.ts'
import { payloads, type PayloadName } from './payloads.ts'
import type { Adapter, AdapterOptions, BenchClient, BenchServer } from './system.ts'

/** The messages a child process understands, each with its answer. One at a time: the next follows the answer. */
export interface Commands {
  serve: { asks: { module: string; options: AdapterOptions }; answers: { address: string } }
  /** Connects, and proves by one call of each payload that the system answers what it was sent. */
  connect: {
    asks: { module: string; options: AdapterOptions; address: string }
    answers: { streams: boolean }
  }
  load: { asks: LoadOptions & { payload: PayloadName }; answers: LoadResult }
  stream: { asks: { items: number }; answers: LoadResult }
  /** Collects garbage, so that no system pays for what it left behind in another cell. */
  collect: { asks: object; answers: object }
  /** CPU used since the process began, in microseconds. */
  cpu: { asks: object; answers: { cpuUs: number } }
  /** Bytes in use on the heap and outside it, read after a garbage collection. */
  memory: { asks: object; answers: { bytes: number } }
  stop: { asks: object; answers: object }
}

export type CommandName = keyof Commands
export type Request = { [K in CommandName]: { readonly name: K } & Commands[K]['asks'] }[CommandName]
export type Response = { readonly value: object } | { readonly error: string }

let server: BenchServer | undefined
let client: BenchClient | undefined

async function answer(request: Request): Promise<Commands[CommandName]['answers']> {
  switch (request.name) {
    case 'serve': {
      const adapter: Adapter = await import(request.module)
      server = await adapter.serve(request.options)
      return { address: server.address }
    }
    case 'connect': {
      const adapter: Adapter = await import(request.module)
      client = await adapter.connect(request.address, request.options)
      for (const [name, payload] of Object.entries(payloads)) {
        const echoed = await client.echo(payload)
        if (!isDeepStrictEqual(echoed, payload)) {
          throw new Error(`The echo of ${name} is not what was sent: ${JSON.stringify(echoed)}`)
        }
      }
      return { streams: client.countTo !== undefined }
    }
    case 'load':
      return runLoad(connected(), payloads[request.payload], request)
    case 'stream':
      return runStream(connected(), request.items)
    case 'collect':
      globalThis.gc?.()
      return {}
    case 'cpu':
      return { cpuUs: total(process.cpuUsage()) }
    case 'memory':
      return { bytes: await bytesInUse() }
    default:
      await client?.stop()
      await server?.stop()
      return {}
  }
}

/** Finalisers of native objects run after the collection that found them dead, so one collection is not enough. */
async function bytesInUse(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function connected(): BenchClient {
  if (client === undefined) throw new Error('This process was not told to connect.')
  return client
}

// The parent decides when the end has come: a Ctrl-C reaches the whole group, and its loss is the end as well.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))

process.on('message', (request: Request) => {
  const respond = (response: Response): void => {
    // A normal exit, for that is when --cpu-prof writes its file.
    process.send!(response, () => void (request.name === 'stop' && process.exit(0)))
  }
  answer(request).then(
    (value) => respond({ value }),
    (error: unknown) => respond({ error: error instanceof Error ? error.message : String(error) }),
  )
})
