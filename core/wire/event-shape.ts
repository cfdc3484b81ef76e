/**
 * The raw msgpack token of an id, type tag and bytes, as latin1 text: equal if and only if type and bytes are equal.
 * A copy, never a view on a frame. zerorpc-python sends ids as bin and compares them as bytes: an id handed back as
 * str is never matched, so nothing here turns one into the other.
 */
export type EventId = string

/** One event as it came: `[header, name, args]`. */
export interface Event {
  /** `message_id`; zask peers leave it out where there is a `response_to`. */
  readonly id: EventId | undefined
  /** `response_to`; undefined also where it is nil, which zerorpc-python takes for absent. */
  readonly responseTo: EventId | undefined
  /** `v`; 0 where it is absent or not an integer. */
  readonly version: number
  /** The other header keys, without a prototype. */
  readonly headers: Readonly<Record<string, unknown>>
  readonly name: string
  readonly args: unknown
  /** Why name or args could not be read although the header could: the sender can still be answered. */
  readonly malformed: string | undefined
}

/** Bounds of one event, the same for reading and writing. */
export interface EventLimits {
  /** Size of the event. */
  maxBytes: number
  /** Arrays and maps within each other, args itself being the first. */
  maxDepth: number
  /** Elements of all arrays and maps together; a map counts its keys and its values. */
  maxNodes: number
}

export const defaultLimits: EventLimits = { maxBytes: 8 * 1024 * 1024, maxDepth: 100, maxNodes: 250_000 }

/** What the header of an event to be sent says; `v` is always 3. */
export interface OutgoingHeader {
  /** Left out only towards zask peers, and only where `responseTo` is there. */
  readonly id: EventId | undefined
  readonly responseTo?: EventId | undefined
  /** Further keys, sent in this order; one whose value is undefined is left out. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}
