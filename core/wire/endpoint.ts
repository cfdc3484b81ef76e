import { lstat, unlink } from 'node:fs/promises'
import { connect as connectLocal } from 'node:net'
import { describeThrown, ZaskError } from '../errors.ts'

/** What to write instead, for messages. */
export const endpointForms: string =
  "Endpoints look like 'tcp://127.0.0.1:4242', 'ipc:///run/users.sock' or 'inproc://users'."

/** Within this process, where ZeroMQ has neither encryption nor monitor events. */
export function isInproc(endpoint: string): boolean {
  return endpoint.startsWith('inproc://')
}

/** Throws `ZASK_ENDPOINT_INVALID` for what libzmq would refuse without saying why, or accept without working. */
export function checkEndpoint(endpoint: string): void {
  const wrong = !/^(tcp|ipc|inproc):\/\/./.test(endpoint)
    ? 'it names no transport of tcp, ipc or inproc'
    : endpoint.startsWith('tcp://') && !/:(\d{1,5}|\*)$/.test(endpoint)
      ? 'it ends without a port'
      : Number(/^tcp:.*:(\d+)$/.exec(endpoint)?.[1]) > 65_535
        ? 'its port is above 65535'
        : endpoint.startsWith('ipc://') && Buffer.byteLength(endpoint) > 6 + 100
          ? 'its path is longer than the 100 bytes a socket file may have'
          : endpoint === 'ipc://*'
            ? 'a random socket file would lie in the working directory'
            : undefined
  if (wrong === undefined) return
  throw new ZaskError(
    'ZASK_ENDPOINT_INVALID',
    `Endpoint '${endpoint}' cannot be used: ${wrong}. ${endpointForms}`,
    {
      details: { endpoint },
    },
  )
}

/** Says what is wrong where libzmq has but a number. */
export function bindError(endpoint: string, cause: unknown): ZaskError {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return inUse(endpoint, cause)
  const hint =
    code === 'ENODEV' || code === 'EADDRNOTAVAIL'
      ? "A server binds to an address of this machine: an IP address, an interface's name, or * for all."
      : code === 'EACCES'
        ? 'Ports below 1024 and other users’ folders need more rights.'
        : endpointForms
  return new ZaskError(
    'ZASK_ENDPOINT_INVALID',
    `Cannot bind to '${endpoint}': ${describeThrown(cause).message}. ${hint}`,
    { details: { endpoint }, cause },
  )
}

function inUse(endpoint: string, cause?: unknown): ZaskError {
  return new ZaskError(
    'ZASK_ENDPOINT_IN_USE',
    `Cannot bind to '${endpoint}': another socket is bound there. Stop that one, or choose another endpoint ` +
      `(port * takes a free one).`,
    { details: { endpoint }, cause },
  )
}

/** A second bind on the path of a living ipc socket would succeed and steal it, so the path is asked first. */
export async function releaseStalePath(path: string, endpoint: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new ZaskError(
      'ZASK_ENDPOINT_INVALID',
      `Cannot bind to '${endpoint}': there is a file that is no socket.`,
      {
        details: { endpoint },
      },
    )
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connectLocal(path)
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (alive) throw inUse(endpoint)
  await unlink(path).catch(() => undefined)
}
