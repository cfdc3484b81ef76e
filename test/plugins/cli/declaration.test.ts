import { expect } from 'chai'
import { declarationOf } from '../../../plugins/cli/declaration.ts'
import type { ArgumentDescription } from '../../../plugins/cli/description.ts'

const at = 'tcp://127.0.0.1:4242'

/** The line of a method that takes these arguments. */
function line(args: ArgumentDescription[] | null, rest?: string): string | undefined {
  const rests = new Map(rest === undefined ? [] : [['call', rest]])
  const text = declarationOf({ name: 'sums', methods: { call: { args, doc: null } } }, at, rests)
  return text.split('\n')[2]?.trim()
}

describe('the declaration of a service', () => {
  it('has an interface named after the service, with its texts as comments', () => {
    const methods = {
      add: { args: [{ name: 'a' }, { name: 'b', default: 1 }], doc: 'Adds.\n\nTwo */ numbers.' },
    }
    expect(declarationOf({ name: 'blog-posts', methods }, at, new Map())).to
      .equal(`/** blog-posts, as it describes itself at ${at}. */
export interface BlogPosts {
  /**
   * Adds.
   *
   * Two *\\/ numbers.
   */
  add(a: unknown, b?: number): unknown
}
`)
  })

  it('makes an argument optional only where every later one has a default, too', () => {
    expect(line([{ name: 'a', default: 'x' }, { name: 'b' }, { name: 'c', default: null }])).to.equal(
      'call(a: string, b: unknown, c?: unknown): unknown',
    )
  })

  it('takes anything where the arguments are not known, and keeps the rest', () => {
    expect(line(null)).to.equal('call(...args: unknown[]): unknown')
    expect(line([{ name: 'a' }], 'more')).to.equal('call(a: unknown, ...more: unknown[]): unknown')
  })

  it('lets no name from the wire become code', () => {
    expect(line([{ name: 'class' }, { name: 'a){}' }, { name: 'b' }, { name: 'b' }])).to.equal(
      'call(arg0: unknown, arg1: unknown, b: unknown, arg3: unknown): unknown',
    )
    expect(line([{ name: 'arg1' }, { name: 'default' }, { name: 'arg0' }], 'default')).to.equal(
      'call(arg1: unknown, arg2: unknown, arg0: unknown, ...arg3: unknown[]): unknown',
    )
    const methods = { 'a(): void }': { args: [], doc: null } }
    expect(declarationOf({ name: '7 }', methods }, at, new Map())).to.include(
      'export interface Service7 {\n  "a(): void }"(): unknown\n}',
    )
  })
})
