import type { Connection } from './wire/connection.ts'

/** Weight of the newest latency in the moving average. */
const weight = 0.2
/** An endpoint that was slow gets no calls, so nothing would show that it no longer is: its latency fades by half so often. */
const halfLifeMs = 2_000
/** How long an endpoint that says it is stopping gets no calls, if its connection stays. */
const avoidMs = 5_000

/** One endpoint of a client and what is known of it. */
export class Target {
  readonly connection: Connection
  /** The real one, once it is bound. */
  endpoint: string
  /** Calls on their way. */
  open = 0
  #latencyMs = 0
  #answeredAt = 0
  #avoidedUntil = 0
  /** Its connection stands but a call heard nothing: it is asked again before it gets calls. */
  suspect = false
  readonly #isOnly: boolean

  /** @param isOnly There is no other one to compare it with. */
  constructor(connection: Connection, isOnly = false) {
    this.connection = connection
    this.#isOnly = isOnly
    this.endpoint = connection.endpoint
  }

  get usable(): boolean {
    return (
      this.connection.up &&
      !this.suspect &&
      (this.#avoidedUntil === 0 || performance.now() >= this.#avoidedUntil)
    )
  }

  /** It has answered on the connection that stands. */
  get known(): boolean {
    return this.#latencyMs > 0
  }

  /** Expected wait: a fast endpoint with many calls may be slower than a slow one with few. */
  loadAt(now: number): number {
    const faded = this.#latencyMs * 2 ** ((this.#answeredAt - now) / halfLifeMs)
    return (this.open + 1) * (faded + 0.1)
  }

  /** Both as `performance.now()` has them. */
  answered(sentAt: number, now: number = performance.now()): void {
    if (this.#isOnly) return
    const latencyMs = now - sentAt
    this.#answeredAt = now
    this.#latencyMs = this.#latencyMs === 0 ? latencyMs : this.#latencyMs * (1 - weight) + latencyMs * weight
  }

  /** It refuses calls for now. */
  avoid(): void {
    this.#avoidedUntil = performance.now() + avoidMs
  }

  /** Its connection is new: whatever it said before does not count. */
  renewed(): void {
    this.#latencyMs = 0
    this.#avoidedUntil = 0
    this.suspect = false
  }
}

/**
 * Picks the endpoint of a call: the better of two picked by chance. Always taking the best would send every
 * client's calls to the same endpoint until its figures catch up.
 */
export function pickTarget(targets: readonly Target[], except?: Target, at?: number): Target | undefined {
  if (targets.length === 1) {
    const only = targets[0] as Target
    return only !== except && only.connection.up ? only : undefined
  }
  let candidates = targets.filter((target) => target !== except && target.usable)
  // Better one in doubt than none.
  if (candidates.length === 0)
    candidates = targets.filter((target) => target !== except && target.connection.up)
  if (candidates.length < 2) return candidates[0]
  const first = Math.floor(Math.random() * candidates.length)
  const second = (first + 1 + Math.floor(Math.random() * (candidates.length - 1))) % candidates.length
  const [one, other] = [candidates[first] as Target, candidates[second] as Target]
  // Of one that has just come up nothing is known: to take it for fast would send it every call of this moment.
  if (!one.known || !other.known) {
    if (one.open !== other.open) return one.open < other.open ? one : other
    return one.known ? other : one
  }
  const now = at ?? performance.now()
  return one.loadAt(now) <= other.loadAt(now) ? one : other
}
