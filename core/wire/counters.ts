/** What the wire has seen, for those who watch it. Numbers only ever grow. */
export class WireCounters {
  eventsIn = 0
  messagesOut = 0
  lostPeers = 0
  /** Frames and events that were not used, by reason. Reasons are ours and few: the peer cannot make new ones. */
  readonly dropped: Map<string, number> = new Map()

  drop(reason: string): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1)
  }
}
