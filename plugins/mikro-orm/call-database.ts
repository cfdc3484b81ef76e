import type { EntityManager } from '@mikro-orm/core'
import type { Call } from '../../core/index.ts'
import type { DatabaseStats, Session } from './session.ts'

/** This call's session of the default bind; called with the name of a bind, that of the bind. */
export type SessionManager = EntityManager & ((bind?: string | null) => EntityManager)

/** The databases as one call sees them. */
export interface CallDatabase {
  /** Errors: `ZASK_DATABASE_NO_SESSION` on a call this process makes outside of any call. */
  readonly em: SessionManager
  /** What the call has asked so far. */
  readonly stats: DatabaseStats
}

/** What plugins find on a call. A call that this process makes shows the session of the call it is made within. */
export interface DatabaseAdds {
  readonly em: SessionManager
  readonly db: CallDatabase
  /** For logs: by bind, how many queries and milliseconds; missing where the call has used no database. */
  readonly dbStats?: DatabaseStats
}

/** What the life of a call needs of the plugin. */
export interface CallDatabaseOwner {
  readonly em: SessionManager
  open(call: Call): Session
}

/** The one thing made for each call; all else waits for the first use. */
export class LiveCallDatabase implements CallDatabase {
  readonly #owner: CallDatabaseOwner
  readonly #call: Call
  #session: Session | undefined
  /** The call's session has ended: none is opened any more. */
  over = false

  constructor(owner: CallDatabaseOwner, call: Call) {
    this.#owner = owner
    this.#call = call
  }

  get em(): SessionManager {
    return this.#owner.em
  }

  get stats(): DatabaseStats {
    return this.#session?.stats ?? {}
  }

  /** The session, if there is one. */
  get opened(): Session | undefined {
    return this.#session
  }

  /** The session, opened by the first who asks; undefined where the call is over and never had one. */
  session(): Session | undefined {
    if (this.#session !== undefined || this.over) return this.#session
    const session = this.#owner.open(this.#call)
    this.#session = session
    Object.assign(this.#call, { dbStats: session.stats })
    return session
  }

  end(): Promise<void> | undefined {
    this.over = true
    return this.#session?.end()
  }
}
