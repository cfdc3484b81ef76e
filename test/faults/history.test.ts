import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { executed, History } from './history.ts'

describe('the history checker', () => {
  it('finds nothing where what was answered ran once, and what was not sent never', () => {
    const history = new History()
    history.end(history.begin(1000), { ok: true })
    history.end(history.begin(1000), { ok: false, code: 'ZASK_PEER_UNREACHABLE', sent: false })
    history.end(history.begin(1000), { ok: false, code: 'ZASK_PEER_LOST', sent: true })
    history.end(history.begin(1000), { ok: false, code: 'ZASK_PEER_LOST', sent: true })
    expect(history.problems(['call-1', 'call-3'])).deep.equal([])
    expect(history.summary).deep.equal({ ok: 1, ZASK_PEER_UNREACHABLE: 1, ZASK_PEER_LOST: 2 })
  })

  const faulty: Readonly<Record<string, [end: (history: History, id: string) => void, runs: string[]]>> = {
    'never ended': [() => undefined, []],
    'ended 2 times': [
      (history, id) => {
        history.end(id, { ok: true })
        history.end(id, { ok: false })
      },
      ['call-1'],
    ],
    'was run 2 times': [(history, id) => history.end(id, { ok: false, sent: true }), ['call-1', 'call-1']],
    'was answered, and never run': [(history, id) => history.end(id, { ok: true }), []],
    'was not sent, they said (ZASK_X), and it was run': [
      (history, id) => history.end(id, { ok: false, sent: false, code: 'ZASK_X' }),
      ['call-1'],
    ],
  }
  for (const [complaint, [end, runs]] of Object.entries(faulty)) {
    it(`sees a call that ${complaint}`, () => {
      const history = new History()
      end(history, history.begin(1000))
      expect(history.problems(runs)).deep.equal([`call-1 ${complaint}`])
    })
  }

  it('sees a call that nobody made', () => {
    expect(new History().problems(['call-9'])).deep.equal(['call-9 was run, and nobody called it'])
    expect(new History().problems([], ['call-9'])).deep.equal(['call-9 was counted, and nobody called it'])
  })

  it('finds nothing where a counter has what was answered, and of what failed some that ran', () => {
    const history = new History()
    for (const ok of [true, true, false, false]) history.end(history.begin(1000), { ok })
    const read = history.begin(1000, { reads: true })
    history.end(read, { ok: true })
    const ran = ['call-1', 'call-2', 'call-3', 'call-4', read]
    expect(history.problems(ran, ['call-1', 'call-2'])).deep.equal([])
    expect(history.problems(ran, ['call-2', 'call-3', 'call-1'])).deep.equal([])
  })

  const miscounted: Readonly<Record<string, [ok: boolean, runs: number, counts: number]>> = {
    'was answered, and not counted': [true, 1, 0],
    'was counted 2 times': [true, 1, 2],
    'was counted, and never run': [false, 0, 1],
  }
  for (const [complaint, [ok, runs, counts]] of Object.entries(miscounted)) {
    it(`sees a call that ${complaint}`, () => {
      const history = new History()
      history.end(history.begin(1000), { ok })
      const [ran, kept] = [runs, counts].map((length) => Array.from({ length }, () => 'call-1'))
      expect(history.problems(ran ?? [], kept)).deep.equal([`call-1 ${complaint}`])
    })
  }

  it('sees a call that should only read, and was counted', () => {
    const history = new History()
    history.end(history.begin(1000, { reads: true }), { ok: true })
    expect(history.problems(['call-1'], ['call-1'])).deep.equal(['call-1 reads, and has changed something'])
  })

  it('sees streams with a gap, or out of order, or silently short', () => {
    const history = new History()
    for (const items of [
      [0, 1, 3],
      [1, 0],
      [0, 1],
      [0, 1],
      [0, 1, 2, 3],
    ]) {
      const id = history.begin(1000, { length: 4 })
      for (const item of items) history.item(id, item)
      // Of the two that broke off after two items, only the one that was said to be whole is wrong.
      history.end(id, id === 'call-3' ? { ok: false, sent: true } : { ok: true })
    }
    expect(history.problems(['call-1', 'call-2', 'call-3', 'call-4', 'call-5'])).deep.equal([
      'call-1 has item 3 where 2 belongs',
      'call-2 has item 1 where 0 belongs',
      'call-4 ended well with 2 of 4 items',
    ])
  })

  it('measures how far a call went beyond its time, and when the last one ended', async () => {
    const history = new History()
    const id = history.begin(1)
    const begunBy = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 40))
    history.end(id, { ok: true })
    expect(history.overrunMs).within(35, 1000)
    expect(history.lastEnding(begunBy)).at.least(begunBy + 35)
    expect(history.lastEnding(0)).equal(0)
  })

  it('reads whole lines only: a kill may cut the last one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zask-history-'))
    try {
      writeFileSync(join(folder, 'log'), 'call-1\ncall-2\ncal')
      expect(executed(join(folder, 'log'))).deep.equal(['call-1', 'call-2'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
