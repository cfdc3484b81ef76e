/** What is used of a connection of Kysely to SQLite. */
export interface SqliteConnection {
  executeQuery(query: unknown): Promise<unknown>
}

/** How long statements may hold up the event loop, one after the other, before others have a turn; in milliseconds. */
const turnMs = 20

/**
 * Lets the event loop turn between the statements of a SQLite connection.
 *
 * A statement runs at once, and who waits for the connection has it in the next microtask: where many calls wait, after
 * another process has had the file locked or in a rush, all of them would be served before a timer, a heartbeat or a
 * call of anybody else is looked at.
 */
export function takeTurns(connection: SqliteConnection): void {
  const execute = connection.executeQuery.bind(connection)
  let turnStartedAt: number | undefined
  const onTurn = (): void => {
    turnStartedAt = undefined
  }
  connection.executeQuery = (query) => {
    const now = performance.now()
    if (turnStartedAt === undefined) {
      turnStartedAt = now
      setImmediate(onTurn)
    } else if (now - turnStartedAt > turnMs) {
      return new Promise<void>((resolve) => setImmediate(resolve)).then(() => connection.executeQuery(query))
    }
    return execute(query)
  }
}
