import { expect } from 'chai'
import { describeFigures } from './database.ts'

describe('the bench of databases', () => {
  it('tells what the plugin adds to the time of a call, in percent', () => {
    const text = describeFigures([
      {
        database: 'PostgreSQL',
        echoWithoutPlugin: 50_000,
        echoWithPlugin: 40_000,
        rowByHand: 3_000,
        rowBySession: 4_000,
      },
    ])
    expect(text.split('\n')).to.deep.equal([
      'PostgreSQL',
      '  a call without a database   50000 calls/s without the plugin, 40000 with it: +25.0 %',
      '  a row by its primary key    3000 calls/s with a fork by hand, 4000 by db.em: -25.0 %',
    ])
  })
})
