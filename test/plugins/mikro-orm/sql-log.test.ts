import { expect } from 'chai'
import { maskedParams, maskedSql } from '../../../plugins/mikro-orm/sql-log.ts'

describe('the log of SQL', () => {
  const cases: [sql: string, params: unknown[], shown: unknown[]][] = [
    ['select * from "user" where "id" = ?', [1], [1]],
    [
      'insert into "user" ("name", "password") values (?, ?), (?, ?)',
      ['a', 'x', 'b', 'y'],
      ['a', '***', 'b', '***'],
    ],
    ['update `user` set `api_key` = ?, `name` = ? where `id` = ?', ['x', 'a', 1], ['***', 'a', 1]],
    ['select * from "user" where "name" like ? and "session_token" = ?', ['a%', 'x'], ['a%', '***']],
    // Whose column cannot be told is hidden where a secret is among them.
    ['update "user" set "password" = case when ("id" = ?) then ? else "password" end', [1, 'x'], [1, '***']],
    ['select crypt(?, "password") from "user"', ['x'], ['***']],
    ['select ?', ['plain'], ['plain']],
  ]
  for (const [sql, params, shown] of cases) {
    it(`shows of ${sql} the parameters ${JSON.stringify(shown)}`, () => {
      expect(maskedParams(sql, params)).to.deep.equal(shown)
    })
  }

  it('hides literals of secret columns in the SQL itself', () => {
    expect(maskedSql(`select * from u where "password" = 'it''s' and name = 'a'`)).to.equal(
      `select * from u where "password" = '***' and name = 'a'`,
    )
  })

  it('does not print files and documents', () => {
    const [bytes, text] = maskedParams('insert into f (a, b) values (?, ?)', [
      Buffer.alloc(9),
      'x'.repeat(500),
    ])
    expect(bytes).to.equal('[9 bytes]')
    expect(text).to.have.length(201)
  })
})
