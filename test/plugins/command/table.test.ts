import { expect } from 'chai'
import { table } from '../../../plugins/command.ts'

describe('a table', () => {
  it('stands in columns whatever the width of its characters, and whatever colours them', async () => {
    const rows = [
      ['日本', '12', 'x'],
      ['\u001b[2ma\u001b[22m', '5', ''],
    ]
    expect(await table(rows, { head: ['one', 'two', 'three'], right: [1], indent: '  ' })).to.equal(
      ['  one    two   three\n', '  日本    12   x\n', '  \u001b[2ma\u001b[22m        5\n'].join(''),
    )
  })

  it('has room for rows of different lengths, and is nothing where there are none', async () => {
    expect(await table([['a'], ['b', 'c']])).to.equal('a\nb   c\n')
    expect(await table([])).to.equal('')
  })
})
