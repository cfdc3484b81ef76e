/** One event that was read, or was given to the socket, or waits with others to be. */
export interface SeenEvent {
  readonly direction: 'in' | 'out'
  /** Who it is from or for: an endpoint, or the identity of a connection. */
  readonly peer: string
  readonly name: string
}

/** What the wire has seen, for those who watch it. Numbers only ever grow. */
export class WireCounters {
  eventsIn = 0
  messagesOut = 0
  lostPeers = 0
  /** Frames and events that were not used, by reason. Reasons are ours and few: the peer cannot make new ones. */
  readonly dropped: Map<string, number> = new Map()
  /** Hears of each event; must not throw. Nobody pays while there is none. */
  watcher: ((seen: SeenEvent) => void) | undefined = undefined

  drop(reason: string): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1)
  }
}
