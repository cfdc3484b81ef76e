import { expect } from 'chai'
import { createCore } from 'zask'
import { mikroOrm } from 'zask/plugins/mikro-orm'

/** Takes SQLite some tens of milliseconds, in which nothing else runs. */
const slow = `with recursive c(x) as (select 1 union all select x + 1 from c where x < 300000) select count(*) as n from c`

describe('statements of SQLite that wait for each other', () => {
  for (const how of ['by themselves', 'in transactions'] as const) {
    it(`let the event loop turn in between, ${how}`, async () => {
      const made: unknown[] = []
      const db = mikroOrm({
        entities: [],
        orm: { onCreateConnection: async (connection) => void made.push(connection) },
      })
      await using core = createCore({ plugins: [db], config: { DEBUG: false } })
      expect(await db.ping()).include({ ok: true })
      const statement = (): Promise<unknown> =>
        how === 'by themselves'
          ? db.em.getConnection().execute(slow)
          : db.em.transactional((em) =>
              em.getConnection().execute(slow, [], 'all', em.getTransactionContext()),
            )
      let turns = 0
      let over = false
      const turn = (): void => {
        turns++
        if (!over) setImmediate(turn)
      }
      const running = Array.from({ length: 10 }, () => db.run(statement))
      setImmediate(turn)
      const answers = await Promise.all(running)
      over = true
      expect(answers).deep.equal(Array.from({ length: 10 }, () => [{ n: 300_000 }]))
      // It would be none. How many depends on how long the machine takes for a statement.
      expect(turns).above(2)
      // What the application does with a connection is done as well.
      expect(made).have.length(1)
      await core.stop()
    })
  }
})
