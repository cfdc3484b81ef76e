// What a client accepts besides the methods of its service. Checked by the compiler, never run.
import type { Readable } from 'node:stream'
import {
  type Client,
  type ClientOptions,
  type ClientEndpoint,
  createCore,
  type RemoteStream,
  type StreamCall,
} from '../../core/index.ts'
import { type Equal, same } from './equal.ts'

declare class Files {
  size(path: string): number
  lines(path: string): AsyncGenerator<string>
  read(path: string): Readable
}

export async function controls(): Promise<void> {
  await using core = createCore()
  await using files = await core.client<Files>(['tcp://127.0.0.1:4242', 'tcp://127.0.0.1:4243'], {
    timeoutMs: 100,
    heartbeat: null,
  })

  // Other options for some calls do not change what is known of the methods.
  const hasty = files.$with({ timeoutMs: 10, signal: AbortSignal.timeout(5), headers: { trace: 1 } })
  same<Equal<typeof hasty, Client<Files>>>()
  same<Equal<Awaited<ReturnType<typeof hasty.size>>, number>>()
  const stream = await files.lines('a')
  same<Equal<typeof stream, RemoteStream<string>>>()
  const step = await stream.next()
  if (step.done !== true) same<Equal<typeof step.value, string>>()
  files.read('a') satisfies StreamCall<unknown>
  same<Equal<typeof files.$endpoints, readonly ClientEndpoint[]>>()
  same<Equal<ClientEndpoint['heartbeatMs'], number | null | undefined>>()

  // What may run twice is named by methods of the service, or said of single calls.
  await core.client<Files>('files', { idempotent: ['size', 'lines'] })
  await core.client('files', { idempotent: ['anything'] })
  files.$with({ idempotent: true })
  const shared: ClientOptions = { timeoutMs: 5 }
  await core.client<Files>('files', shared)
  // @ts-expect-error a method that the service does not have
  await core.client<Files>('files', { idempotent: ['sizes'] })
  // @ts-expect-error of a single call it is said without a name
  files.$with({ idempotent: ['size'] })
  // @ts-expect-error an option that single calls do not have
  files.$with({ heartbeat: null })
  // @ts-expect-error a time is a number of milliseconds
  files.$with({ timeoutMs: '10' })
  // @ts-expect-error a misspelt method, of the client with other options too
  void hasty.sizes('a')
  // @ts-expect-error arguments of $call come as an array
  void files.$call('size', 'a')
  // @ts-expect-error an option that clients do not have
  await core.client<Files>('files', { poolSize: 1 })
  // @ts-expect-error a client has no method to make it another one
  void files.$open()
  // @ts-expect-error the item's type
  for await (const line of files.lines('a')) line satisfies number
  // @ts-expect-error a whole call's value is not the stream's item
  const line: string = await files.lines('a')
  void line
}
