/** What libzmq tells of the connections of a socket, in the order it happened. */
export interface MonitorEvent {
  readonly type: string
  readonly address?: string
  readonly error?: { readonly code?: string; readonly status?: number }
}

/** What is needed of an observer. */
export interface Monitor {
  receive(): Promise<MonitorEvent | undefined>
}

/** Events that are read before others have a turn. */
const batchSize = 100
/** How long nothing is read after a batch of failures to accept. */
const throttleMs = 10

/**
 * Reads events until the socket is closed. They must be read: libzmq's I/O thread waits for whoever does not, with all
 * the connections it serves (seen with 4.3.5, from 2,000 unread events on).
 *
 * That is of use, too: without a free file descriptor libzmq tries again and again to accept the same connection,
 * with an event each time. Reading those slowly makes it rest, and leaves this thread and the processor to others.
 */
export async function follow(monitor: Monitor, onEvent: (event: MonitorEvent) => void): Promise<void> {
  let [read, failures] = [0, 0]
  for (;;) {
    let event: MonitorEvent | undefined
    try {
      event = await monitor.receive()
    } catch {
      return
    }
    if (event === undefined || event.type === 'end') return
    onEvent(event)
    if (event.type === 'accept:error') failures++
    if (++read < batchSize) continue
    const throttled = failures * 2 > batchSize
    ;[read, failures] = [0, 0]
    await new Promise((resolve) => (throttled ? setTimeout(resolve, throttleMs) : setImmediate(resolve)))
  }
}

/** Why a server would not have us. */
export type RefusalReason =
  /** It does not know our public key. */
  | 'key'
  /** It wants another security mechanism: encryption where we have none, or none where we do. */
  | 'mechanism'
  /** It ends our handshakes half-way, as it does where we have the wrong key of the server. */
  | 'cut'

/** The reason, as far as one event tells it. */
export function refusalOf({ type, error }: MonitorEvent): RefusalReason | undefined {
  if (type === 'handshake:error:auth') return 'key'
  if (type === 'handshake:error:protocol' && error?.code === 'ERR_ZMTP_MECHANISM_MISMATCH') return 'mechanism'
  return type.startsWith('handshake:error:') ? 'cut' : undefined
}
