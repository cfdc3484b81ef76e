import { expect } from 'chai'
import { compileTaps } from '../../core/compiled-taps.ts'
import { Tap } from '../../core/tap-runner.ts'

type Exit = [how: 'stopped' | 'failed', index: number, what: unknown, subject: unknown, second: unknown]

function compile(
  hook: 'beforeCall' | 'afterCall',
  ...functions: ((...given: unknown[]) => unknown)[]
): (subject: unknown, second?: unknown) => Exit | undefined {
  const taps = functions.map((fn, index) => new Tap(hook, 'gate', `plugin-${index}`, fn))
  return compileTaps<Exit>(taps, {
    stopped: (index, answer, subject, second) => ['stopped', index, answer, subject, second],
    failed: (index, thrown, subject, second) => ['failed', index, thrown, subject, second],
  })
}

describe('compiled taps', () => {
  it('run in their order, and to their end while none returns anything or throws', () => {
    const seen: number[] = []
    const run = compile('beforeCall', ...[0, 1, 2].map((number) => () => void seen.push(number)))
    expect(run('call')).to.equal(undefined)
    expect(seen).to.deep.equal([0, 1, 2])
  })

  it('are handed as much as their hook says, and no more', () => {
    const seen: unknown[][] = []
    const note = (...given: unknown[]): void => void seen.push(given)
    compile('beforeCall', note)('call', 'outcome')
    compile('afterCall', note)('call', 'outcome')
    expect(seen).to.deep.equal([['call'], ['call', 'outcome']])
  })

  it('end at the first that returns something, whatever it is, and say which it was', () => {
    for (const answer of [null, 0, '', false, Promise.resolve(), {}]) {
      const run = compile(
        'afterCall',
        () => undefined,
        () => answer,
        () => expect.fail('a tap ran behind the one that answered'),
      )
      expect(run('call', 'outcome')).to.deep.equal(['stopped', 1, answer, 'call', 'outcome'])
    }
  })

  it('end at the first that throws, whatever it is, and say which it was', () => {
    for (const thrown of [new Error('no'), undefined, null, 'text']) {
      const run = compile(
        'afterCall',
        () => undefined,
        () => undefined,
        () => {
          throw thrown
        },
        () => expect.fail('a tap ran behind the one that threw'),
      )
      expect(run('call', 'outcome')).to.deep.equal(['failed', 2, thrown, 'call', 'outcome'])
    }
  })

  it('leave what an exit throws to who runs them', () => {
    const taps = [new Tap('beforeCall', 'gate', 'a', () => 'answer')]
    const run = compileTaps(taps, {
      stopped: () => {
        throw new Error('of the exit')
      },
      failed: () => expect.fail('the error of an exit was taken for that of a tap'),
    })
    expect(() => run('call')).to.throw('of the exit')
  })

  it('run one within the other', () => {
    let depth = 0
    const run: (subject: unknown) => Exit | undefined = compile(
      'beforeCall',
      () => (++depth < 3 ? void run('inner') : undefined),
      () => {
        if (depth === 3) throw new Error('at the bottom')
      },
    )
    expect(run('outer')?.slice(0, 2)).to.deep.equal(['failed', 1])
    expect(depth).to.equal(3)
  })
})
