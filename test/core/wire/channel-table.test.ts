import { expect } from 'chai'
import fc from 'fast-check'
import { ChannelTable } from '../../../core/wire/channel-table.ts'
import { collectGarbage } from '../../support/garbage.ts'

interface Entry {
  readonly id: string
  readonly is: number
}

type Step = { readonly does: 'add' | 'delete' | 'get'; readonly id: string }

// Few different ids, so that each is met again and again, and long enough for several to want one place.
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    does: fc.constantFrom('add' as const, 'add' as const, 'delete' as const, 'get' as const),
    id: fc.integer({ min: 0, max: 60 }).map((number) => `\xc4\x20${String(number).padStart(32, '0')}`),
  }),
  { maxLength: 300 },
)

describe('a table of channels', () => {
  it('answers as a Map does, whatever is added and deleted', () => {
    fc.assert(
      fc.property(steps, (todo) => {
        const table = new ChannelTable<Entry>()
        const map = new Map<string, Entry>()
        for (const [is, { does, id }] of todo.entries()) {
          if (does === 'add') {
            const entry = { id, is }
            table.add(entry)
            map.set(id, entry)
          } else if (does === 'delete') expect(table.delete(id)).equal(map.delete(id))
          expect(table.get(id)).equal(map.get(id))
          expect(table.has(id)).equal(map.has(id))
          expect(table.size).equal(map.size)
        }
        for (const [id, entry] of map) expect(table.get(id)).equal(entry)
        expect(table.values()).have.members([...map.values()])
      }),
      { numRuns: 500 },
    )
  })

  it('finds nothing while it is empty', () => {
    const table = new ChannelTable<Entry>()
    expect(table.get('')).equal(undefined)
    expect(table.has('one')).equal(false)
    expect(table.delete('one')).equal(false)
    expect(table.values()).deep.equal([])
  })

  it('lets go of what was deleted while it has as many as ever', async () => {
    const table = new ChannelTable<Entry>()
    const gone: WeakRef<Entry>[] = []
    for (let is = 0; is < 20_000; is++) {
      const entry = { id: `call ${is}`, is }
      table.add(entry)
      gone.push(new WeakRef(entry))
      if (is >= 100) expect(table.delete(`call ${is - 100}`)).equal(true)
    }
    await new Promise((resolve) => setTimeout(resolve))
    collectGarbage()
    expect(gone.filter((entry) => entry.deref() !== undefined)).length.within(100, 110)
    expect(table.size).equal(100)
  })

  it('gives what it held at the moment, so that closing one does not hide another', () => {
    const table = new ChannelTable<Entry>()
    for (let is = 0; is < 100; is++) table.add({ id: `call ${is}`, is })
    const met = table.values().map((entry) => {
      table.delete(entry.id)
      return entry.is
    })
    expect(met.toSorted((a, b) => a - b)).deep.equal(Array.from({ length: 100 }, (_, index) => index))
    expect(table.size).equal(0)
  })
})
