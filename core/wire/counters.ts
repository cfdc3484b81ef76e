import { ZaskError } from '../errors.ts'

/** One event that was read, or was given to the socket, or waits with others to be. */
export interface SeenEvent {
  readonly direction: 'in' | 'out'
  /** Who it is from or for: an endpoint, or the identity of a connection. */
  readonly peer: string
  readonly name: string
}

/** How often each limit of the wire was met. */
export interface MetLimits {
  maxEventBytes: number
  maxDepth: number
  maxNodes: number
  window: number
  maxPendingBytes: number
  maxChannels: number
  maxChannelsPerPeer: number
  credit: number
  headerKeys: number
  messageParts: number
  handshakeTimeoutMs: number
}

/** By the reasons of readers, the limit that each tells of. */
const limitOf: Readonly<Record<string, keyof MetLimits>> = {
  'too large': 'maxEventBytes',
  'too deep': 'maxDepth',
  'too many nodes': 'maxNodes',
  'too many header keys': 'headerKeys',
  'too many parts': 'messageParts',
}

/** What the wire has seen, for those who watch it. Numbers only ever grow. */
export class WireCounters {
  eventsIn = 0
  messagesOut = 0
  lostPeers = 0
  missedBeats = 0
  /** Frames and events that were not used, by reason. Reasons are ours and few: the peer cannot make new ones. */
  readonly dropped: Map<string, number> = new Map()
  readonly met: MetLimits = {
    maxEventBytes: 0,
    maxDepth: 0,
    maxNodes: 0,
    window: 0,
    maxPendingBytes: 0,
    maxChannels: 0,
    maxChannelsPerPeer: 0,
    credit: 0,
    headerKeys: 0,
    messageParts: 0,
    handshakeTimeoutMs: 0,
  }
  /** Connections that servers turned away before they could say anything, by reason: few, and ours. */
  readonly refused: Map<string, number> = new Map()
  /** Hears of each event; must not throw. Nobody pays while there is none. */
  watcher: ((seen: SeenEvent) => void) | undefined = undefined

  /** @param before Why an event of the same message could be read only in part: that was counted then. */
  drop(reason: string, before?: string): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1)
    if (reason !== before) this.unreadable(reason)
  }

  /** Counts the limit that kept an event, or a part of it, from being read; most reasons tell of none. */
  unreadable(reason: string): void {
    const limit = limitOf[reason]
    if (limit !== undefined) this.met[limit]++
  }

  /** Counts the limit that kept an event from being sent, if it was one. */
  unsendable(error: unknown): void {
    const limit = error instanceof ZaskError ? error.details?.['limit'] : undefined
    if (typeof limit === 'string' && Object.hasOwn(this.met, limit)) this.met[limit as keyof MetLimits]++
  }

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
    if (reason === 'handshake timeout') this.met.handshakeTimeoutMs++
  }
}
