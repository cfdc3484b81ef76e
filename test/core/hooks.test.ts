import { AsyncLocalStorage } from 'node:async_hooks'
import { expect } from 'chai'
import type { Call, Outcome } from '../../core/call.ts'
import { ZaskError } from '../../core/errors.ts'
import type { Hooks, TapPlace, TapRun } from '../../core/hook-contract.ts'
import { HookSet } from '../../core/hooks.ts'

interface Config {
  readonly DEBUG: boolean
}
type Core = { readonly root: string }

// Hooks hand on what they are given and look at nothing in it.
const call = { id: '1' } as unknown as Call
const outcome: Outcome = { ok: true, value: 1, durationMs: 1 }
const query = { service: 'users', role: 'client' } as const

const observers = ['afterCall', 'sessionEnd', 'started', 'stopping', 'stopped'] as const

/** What a function throws, or a promise it returns rejects with. */
async function thrownBy(run: () => unknown): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

function refusal(run: () => unknown, code: string): string {
  try {
    run()
  } catch (error) {
    expect(error).to.be.instanceOf(ZaskError)
    expect((error as ZaskError).code).to.equal(code)
    return (error as ZaskError).message
  }
  throw new Error('nothing was thrown')
}

function named(plugins: string[]): object[] {
  return plugins.map((plugin) => ({ plugin }))
}

/** A `then` that breaks every rule of promises after it has kept them once. */
function settleTwice(resolve: () => void, reject: (error: Error) => void): void {
  resolve()
  resolve()
  reject(new Error('too late'))
  throw new Error('far too late')
}

describe('hooks', () => {
  let set: HookSet<Call, Config, Core>
  let hooks: Hooks<Call, Config, Core>
  let reported: { error: unknown; where: TapPlace }[]
  let ran: string[]

  beforeEach(() => {
    reported = []
    ran = []
    set = new HookSet({ onObserverError: (error, where) => reported.push({ error, where }) })
    hooks = set.facade
  })

  /** A tap that notes its name. */
  const note = (name: string) => (): void => void ran.push(name)
  /** A tap that notes its name after other work had its turn. */
  const noteLater = (name: string) => async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    ran.push(name)
  }

  function runObserver(hook: (typeof observers)[number]): Promise<void> | undefined {
    if (hook === 'afterCall') return set.afterCall.run(call, outcome)
    if (hook === 'sessionEnd') return set.sessionEnd.run(call)
    return set[hook].run({ root: '/' })
  }

  describe('a gate', () => {
    it('runs its taps in list order', async () => {
      hooks.beforeCall.tap('a', noteLater('a'))
      hooks.beforeCall.tap('b', note('b'))
      hooks.beforeCall.tapPromise('c', noteLater('c'))
      await set.beforeCall.run(call)
      expect(ran).to.deep.equal(['a', 'b', 'c'])
    })

    it('hands each tap what it was run with, and nothing more', async () => {
      const seen: unknown[][] = []
      hooks.beforeCall.tap('a', (...args) => seen.push(args))
      hooks.configLoaded.tap('a', (...args) => seen.push(args))
      await set.beforeCall.run(call)
      await set.configLoaded.run({ DEBUG: true })
      expect(seen).to.deep.equal([[call], [{ DEBUG: true }]])
    })

    it('is finished when run returns, where no tap awaits', () => {
      hooks.beforeCall.tap('a', note('a'))
      hooks.beforeCall.tap('b', note('b'))
      expect(set.beforeCall.run(call)).to.equal(undefined)
      expect(ran).to.deep.equal(['a', 'b'])
    })

    it('throws synchronously where no tap awaited before the one that throws', () => {
      hooks.beforeCall.tap('a', () => {
        throw new Error('no')
      })
      expect(() => set.beforeCall.run(call)).to.throw('no')
    })

    it('waits for an async function given to tap', async () => {
      hooks.beforeCall.tap('a', noteLater('a'))
      const running = set.beforeCall.run(call)
      expect(running).to.be.instanceOf(Promise)
      expect(ran).to.deep.equal([])
      await running
      expect(ran).to.deep.equal(['a'])
    })

    it('goes on in one go behind taps that return what is no promise', () => {
      hooks.beforeCall.tap('a', () => 'a')
      // eslint-disable-next-line unicorn/no-thenable -- the case under test
      hooks.beforeCall.tap('b', () => ({ then: 'no function' }))
      hooks.beforeCall.tap('c', note('c'))
      expect(set.beforeCall.run(call)).to.equal(undefined)
      expect(ran).to.deep.equal(['c'])
    })

    it('takes a tapPromise function that returns no promise for what it is', () => {
      hooks.beforeCall.tapPromise('a', note('a') as () => never)
      expect(set.beforeCall.run(call)).to.equal(undefined)
      expect(ran).to.deep.equal(['a'])
    })

    for (const [kind, fail] of [
      [
        'throws',
        (error: unknown) => {
          throw error
        },
      ],
      ['rejects', (error: unknown) => Promise.reject(error)],
    ] as const) {
      it(`stops at a tap that ${kind}, with the tap's own error`, async () => {
        const error = Object.freeze(new Error('refused'))
        hooks.beforeCall.tap('a', noteLater('a'))
        hooks.beforeCall.tap('b', () => fail(error))
        hooks.beforeCall.tap('c', note('c'))
        expect(await thrownBy(() => set.beforeCall.run(call))).to.equal(error)
        expect(ran).to.deep.equal(['a'])
        expect(set.culprit(error)).to.deep.equal({ hook: 'beforeCall', plugin: 'b' })
        expect(reported).to.deep.equal([])
      })

      for (const falsy of [undefined, null, 0, '', false, Number.NaN, 0n]) {
        it(`stays shut when a tap ${kind} ${typeof falsy} ${String(falsy)}`, async () => {
          hooks.beforeCall.tap('careless', () => fail(falsy))
          hooks.beforeCall.tap('next', note('next'))
          const error = await thrownBy(() => set.beforeCall.run(call))
          expect(error).to.be.instanceOf(ZaskError)
          expect((error as ZaskError).code).to.equal('ZASK_HOOK_FAILED')
          expect((error as ZaskError).message).to.include('the beforeCall tap of careless threw')
          expect((error as ZaskError).cause).to.deep.equal(falsy)
          expect(ran).to.deep.equal([])
        })
      }
    }

    it('passes on a thrown text as it is', async () => {
      hooks.beforeCall.tap('a', () => {
        // eslint-disable-next-line no-throw-literal, typescript/only-throw-error -- what plugins in JavaScript may do
        throw 'just text'
      })
      expect(await thrownBy(() => set.beforeCall.run(call))).to.equal('just text')
      expect(set.culprit('just text')).to.equal(undefined)
    })

    it('refuses with what a hostile thenable throws, and hears each thenable once', async () => {
      const trap = new Error('then getter')
      hooks.beforeCall.tap('a', () => ({
        // eslint-disable-next-line unicorn/no-thenable -- the case under test
        get then(): never {
          throw trap
        },
      }))
      expect(await thrownBy(() => set.beforeCall.run(call))).to.equal(trap)

      const other = new HookSet({ onObserverError() {} })
      // eslint-disable-next-line unicorn/no-thenable -- the case under test
      other.facade.beforeCall.tap('twice', () => ({ then: settleTwice }))
      other.facade.beforeCall.tap('next', note('next'))
      await other.beforeCall.run(call)
      expect(ran).to.deep.equal(['next'])
    })

    it('does nothing and says so while it has no taps', () => {
      expect(set.beforeCall.used).to.equal(false)
      expect(set.beforeCall.run(call)).to.equal(undefined)
      hooks.beforeCall.tap('a', note('a'))
      expect(set.beforeCall.used).to.equal(true)
    })

    it('lets a tap added during a run take part from the next run on', async () => {
      hooks.beforeCall.tap('a', () => {
        ran.push('a')
        if (ran.length === 1) hooks.beforeCall.tap('b', note('b'))
      })
      await set.beforeCall.run(call)
      expect(ran).to.deep.equal(['a'])
      await set.beforeCall.run(call)
      expect(ran).to.deep.equal(['a', 'a', 'b'])
    })

    it('keeps runs that overlap apart', async () => {
      const gates = new Map<unknown, () => void>()
      hooks.beforeCall.tap('a', (one) => new Promise<void>((resolve) => gates.set(one, resolve)))
      hooks.beforeCall.tap('b', (one) => {
        ran.push(one.id)
        if (one.id === '2') throw new Error('second')
      })
      const [first, second] = [{ id: '1' } as Call, { id: '2' } as Call]
      const results = Promise.allSettled([set.beforeCall.run(first), set.beforeCall.run(second)])
      gates.get(second)!()
      gates.get(first)!()
      expect((await results).map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected'])
      expect(ran).to.deep.equal(['2', '1'])
    })

    it('runs later taps in the async context of the run, not of what an earlier tap waited for', async () => {
      const storage = new AsyncLocalStorage<string>()
      let release: (() => void) | undefined
      hooks.beforeCall.tap('a', () => new Promise<void>((resolve) => (release = resolve)))
      hooks.beforeCall.tap('b', () => ran.push(storage.getStore() ?? 'none'))
      const running = storage.run('the call', () => set.beforeCall.run(call))
      storage.run('a stranger', () => release!())
      await running
      expect(ran).to.deep.equal(['the call'])
    })

    it('runs a long list of taps', () => {
      for (let n = 0; n < 500; n++) hooks.beforeCall.tap(`p${n}`, note(`p${n}`))
      expect(set.beforeCall.run(call)).to.equal(undefined)
      expect(ran).to.have.length(500)
    })
  })

  describe('an observer', () => {
    for (const hook of observers) {
      it(`${hook} runs its taps in reverse order, async ones awaited`, async () => {
        hooks[hook].tap('a', note('a'))
        hooks[hook].tap('b', noteLater('b'))
        hooks[hook].tap('c', note('c'))
        await runObserver(hook)
        expect(ran).to.deep.equal(['c', 'b', 'a'])
      })

      it(`${hook} reports a tap that fails by plugin and hook, and runs the others`, async () => {
        const [thrown, rejected] = [new Error('thrown'), new Error('rejected')]
        hooks[hook].tap('a', note('a'))
        hooks[hook].tap('b', () => {
          throw thrown
        })
        hooks[hook].tap('c', () => Promise.reject(rejected))
        hooks[hook].tap('d', note('d'))
        await runObserver(hook)
        expect(ran).to.deep.equal(['d', 'a'])
        expect(reported).to.deep.equal([
          { error: rejected, where: { hook, plugin: 'c' } },
          { error: thrown, where: { hook, plugin: 'b' } },
        ])
      })
    }

    it('is finished when run returns, where no tap awaits, even if one throws', () => {
      hooks.sessionEnd.tap('a', note('a'))
      hooks.sessionEnd.tap('b', () => {
        throw new Error('b')
      })
      expect(set.sessionEnd.run(call)).to.equal(undefined)
      expect(ran).to.deep.equal(['a'])
    })

    it('reports each tap that throws, and does not wait where none of them does', () => {
      for (const name of ['a', 'b', 'c']) {
        hooks.afterCall.tap(name, () => {
          ran.push(name)
          throw new Error(name)
        })
      }
      expect(set.afterCall.run(call, outcome)).to.equal(undefined)
      expect(ran).to.deep.equal(['c', 'b', 'a'])
      expect(reported.map(({ where }) => where.plugin)).to.deep.equal(['c', 'b', 'a'])
    })

    it('hands on call and outcome', async () => {
      const seen: unknown[][] = []
      hooks.afterCall.tap('a', (...args) => seen.push(args))
      await set.afterCall.run(call, outcome)
      expect(seen).to.deep.equal([[call, outcome]])
    })

    it('goes on when the report of an error fails as well', () => {
      const other = new HookSet({
        onObserverError() {
          throw new Error('disk full')
        },
      })
      other.facade.sessionEnd.tap('a', note('a'))
      other.facade.sessionEnd.tap('b', () => {
        throw new Error('b')
      })
      expect(other.sessionEnd.run(call)).to.equal(undefined)
      expect(ran).to.deep.equal(['a'])
    })

    it('reports a falsy throw as an error that names the tap', () => {
      hooks.sessionEnd.tap('careless', () => {
        // eslint-disable-next-line typescript/only-throw-error -- the case under test
        throw undefined
      })
      expect(set.sessionEnd.run(call)).to.equal(undefined)
      expect(reported).to.have.length(1)
      expect((reported[0]!.error as ZaskError).message).to.include(
        'the sessionEnd tap of careless threw undefined',
      )
    })
  })

  describe('answerError', () => {
    const thrown = new Error('thrown')

    it('returns at once what the first tap answers, and asks no further', () => {
      expect(set.answerError.used).to.equal(false)
      expect(set.answerError.run(call, thrown)).to.equal(undefined)
      const answer = new Error('answer')
      const seen: unknown[][] = []
      hooks.answerError.tap('a', (...args) => void seen.push(args))
      hooks.answerError.tap('b', () => null)
      hooks.answerError.tap('c', () => answer)
      hooks.answerError.tap('d', note('d'))
      expect(set.answerError.run(call, thrown)).to.equal(answer)
      expect(seen).to.deep.equal([[call, thrown]])
      expect(ran).to.deep.equal([])
    })

    it('throws what a tap throws', () => {
      hooks.answerError.tap('a', () => {
        throw thrown
      })
      expect(() => set.answerError.run(call, new Error('other'))).to.throw(thrown)
    })

    it('refuses a tap that would have to be waited for', () => {
      hooks.answerError.tap('quick', () => undefined)
      hooks.answerError.tap('slow', (() => Promise.reject(new Error('late'))) as never)
      expect(refusal(() => set.answerError.run(call, thrown), 'ZASK_HOOK_FAILED')).to.match(
        /the answerError tap of slow returned a promise/,
      )
    })
  })

  describe('resolveEndpoint', () => {
    it('resolves to the first answer and asks no further', async () => {
      hooks.resolveEndpoint.tap('a', (asked) => {
        expect(asked).to.equal(query)
      })
      hooks.resolveEndpoint.tap('null', () => null)
      hooks.resolveEndpoint.tap('b', async () => ({ version: '1.0', endpoints: ['tcp://b:1'] }))
      hooks.resolveEndpoint.tap('c', () => {
        ran.push('c')
        return { endpoints: ['tcp://c:1'] }
      })
      expect(await set.resolveEndpoint.run(query)).to.deep.equal({ version: '1.0', endpoints: ['tcp://b:1'] })
      expect(ran).to.deep.equal([])
    })

    it('resolves to undefined where no tap has an answer, and where there is no tap', async () => {
      expect(set.resolveEndpoint.used).to.equal(false)
      expect(await set.resolveEndpoint.run(query)).to.equal(undefined)
      hooks.resolveEndpoint.tap('a', () => {})
      hooks.resolveEndpoint.tap('b', async () => null)
      expect(set.resolveEndpoint.used).to.equal(true)
      expect(await set.resolveEndpoint.run(query)).to.equal(undefined)
    })

    it("rejects with a tap's own error, and names the tap", async () => {
      const error = new Error('no config')
      hooks.resolveEndpoint.tap('endpoints', () => {
        throw error
      })
      const running = set.resolveEndpoint.run(query)
      expect(await thrownBy(() => running)).to.equal(error)
      expect(set.culprit(error)).to.deep.equal({ hook: 'resolveEndpoint', plugin: 'endpoints' })
    })
  })

  describe('a custom hook', () => {
    it('is the same hook wherever its name is said, and runs its taps in list order', async () => {
      hooks.custom<string[]>('greetings').tap('a', async (list) => {
        await new Promise((resolve) => setImmediate(resolve))
        list.push('a')
      })
      hooks.custom<string[]>('greetings').tapPromise('b', async (list) => void list.push('b'))
      hooks.custom<string[]>('others').tap('c', (list) => list.push('c'))
      const list: string[] = []
      await hooks.custom<string[]>(' greetings ').run(list)
      expect(list).to.deep.equal(['a', 'b'])
    })

    it('resolves where nobody tapped it, and is then in no report', async () => {
      expect(await hooks.custom('nobody').run(1)).to.equal(undefined)
      expect(hooks.inspect().map(({ hook }) => hook)).to.not.include('nobody')
    })

    it('gives each tap an argument of its own by the name it was tapped under', async () => {
      const seen: string[] = []
      const hook = hooks.custom<string>('mine')
      for (const plugin of ['a', 'b']) hook.tap(plugin, (argument) => seen.push(`${plugin} ${argument}`))
      await hook.runEach((plugin) => plugin.toUpperCase())
      expect(seen).to.deep.equal(['a A', 'b B'])
    })

    it('stops at a tap that throws, with an error that names plugin and hook', async () => {
      const cause = new Error('no')
      const hook = hooks.custom<void>('mine')
      hook.tap('a', note('a'))
      hook.tap('b', () => Promise.reject(cause))
      hook.tap('c', note('c'))
      const error = await thrownBy(() => hook.run())
      expect(error).to.include({ code: 'ZASK_HOOK_FAILED', message: 'plugin b failed in mine: no', cause })
      expect((error as ZaskError).details).to.deep.equal({ hook: 'mine', plugin: 'b' })
      expect(ran).to.deep.equal(['a'])
    })

    it('is reported behind the hooks of core, and traced as they are', async () => {
      const runs: TapRun[] = []
      hooks.custom('mine').tap('a', note('a'))
      expect(hooks.inspect().at(-1)).to.deep.equal({ hook: 'mine', kind: 'gate', taps: [{ plugin: 'a' }] })
      hooks.trace((run) => runs.push(run))
      await hooks.custom('mine').run(undefined)
      expect(runs.map(({ hook, plugin }) => [hook, plugin])).to.deep.equal([['mine', 'a']])
    })

    it('needs a name that core has not taken, and taps as any hook does', () => {
      const wrong = [
        ['', 'needs a name of its own'],
        [7, 'hooks.custom(7)'],
        ['beforeCall', 'tap hooks.beforeCall'],
      ] as const
      for (const [name, complaint] of wrong) {
        expect(refusal(() => hooks.custom(name as string), 'ZASK_HOOK_TAP')).to.include(complaint)
      }
      expect(refusal(() => hooks.custom('mine').tap('', note('a')), 'ZASK_HOOK_TAP')).to.include(
        `hooks.custom("mine").tap('my-plugin', fn)`,
      )
    })

    it('belongs to one core', async () => {
      const other = new HookSet({ onObserverError() {} })
      hooks.custom('mine').tap('a', note('a'))
      await other.facade.custom('mine').run(undefined)
      expect(ran).to.deep.equal([])
    })
  })

  describe('the facade', () => {
    it('refuses tapAsync and says what to use', () => {
      const taps = hooks.beforeCall as unknown as { tapAsync(name: string, fn: () => void): void }
      expect(refusal(() => taps.tapAsync('a', () => {}), 'ZASK_HOOK_TAP')).to.equal(
        'hooks.beforeCall.tapAsync("a", …): callbacks are not waited for. ' +
          'Use tap or tapPromise with a function that returns a promise',
      )
    })

    it('refuses a tap without a name', () => {
      for (const name of ['', '  ', undefined, 7, {}, { name: '' }, null]) {
        const message = refusal(() => hooks.beforeCall.tap(name as string, () => {}), 'ZASK_HOOK_TAP')
        expect(message).to.include("a tap needs a name: hooks.beforeCall.tap('my-plugin', fn)")
      }
      expect(set.beforeCall.used).to.equal(false)
    })

    it('refuses what is no function', () => {
      for (const fn of [undefined, null, 'fn', {}]) {
        const message = refusal(() => hooks.stopped.tap('a', fn as () => void), 'ZASK_HOOK_TAP')
        expect(message).to.match(
          /^hooks\.stopped\.tap\("a", …\): the second argument must be a function, but is /,
        )
      }
    })

    it("takes tapable's options object for its name, and refuses its other options", async () => {
      hooks.beforeCall.tap({ name: ' a ' }, note('a'))
      await set.beforeCall.run(call)
      expect(ran).to.deep.equal(['a'])
      expect(hooks.inspect()[2]!.taps).to.deep.equal([{ plugin: 'a' }])
      for (const option of [{ stage: -1 }, { before: 'a' }, { context: true }]) {
        const tap = (): void => hooks.beforeCall.tap({ name: 'b', ...option }, note('b'))
        const [key] = Object.keys(option)
        expect(refusal(tap, 'ZASK_HOOK_TAP')).to.include(
          `the option "${key}" is refused. Taps run in the order of`,
        )
      }
    })

    it('answers an unknown hook with those that exist, the one most likely meant first', () => {
      const untyped = hooks as unknown as Record<string, Hooks['beforeCall']>
      expect(refusal(() => untyped['beforCall']!.tap('a', () => {}), 'ZASK_HOOK_UNKNOWN')).to.match(
        /^there is no hook "beforCall"\. Did you mean beforeCall\? The hooks are: beforeCall, /,
      )
      const message = refusal(() => untyped['onRequest'], 'ZASK_HOOK_UNKNOWN')
      expect(message).to.not.include('Did you mean')
      for (const { hook } of hooks.inspect()) expect(message).to.include(hook)
    })

    it('can be awaited, printed and written as JSON, as any object', async () => {
      expect(await Promise.resolve(hooks)).to.equal(hooks)
      expect(JSON.stringify({ hooks })).to.be.a('string')
      expect(Object.prototype.toString.call(hooks)).to.equal('[object Object]')
    })

    it('cannot be changed, and cannot run a hook', () => {
      expect(() => Object.assign(hooks, { beforeCall: {} })).to.throw(TypeError)
      expect(() => Object.assign(hooks.beforeCall, { tap() {} })).to.throw(TypeError)
      expect(Object.keys(hooks.beforeCall)).to.deep.equal(['tap', 'tapPromise', 'tapAsync'])
    })

    it('shares nothing with the facade of another core', () => {
      const other = new HookSet({ onObserverError() {} })
      hooks.beforeCall.tap('a', note('a'))
      expect(other.beforeCall.used).to.equal(false)
    })
  })

  describe('the x-ray', () => {
    it('lists each hook with its kind and its taps in running order', () => {
      for (const plugin of ['a', 'b', 'c']) {
        hooks.beforeCall.tap(plugin, () => {})
        hooks.sessionEnd.tap(plugin, () => {})
      }
      expect(hooks.inspect()).to.deep.equal([
        { hook: 'configLoaded', kind: 'gate', taps: [] },
        { hook: 'resolveEndpoint', kind: 'first answer', taps: [] },
        { hook: 'beforeCall', kind: 'gate', taps: named(['a', 'b', 'c']) },
        { hook: 'answerError', kind: 'first answer', taps: [] },
        { hook: 'afterCall', kind: 'observer', taps: [] },
        { hook: 'sessionEnd', kind: 'observer', taps: named(['c', 'b', 'a']) },
        { hook: 'started', kind: 'observer', taps: [] },
        { hook: 'stopping', kind: 'observer', taps: [] },
        { hook: 'stopped', kind: 'observer', taps: [] },
      ])
    })

    it('traces each run of each tap while somebody listens', async () => {
      const runs: TapRun[] = []
      const error = new Error('no')
      hooks.beforeCall.tap('a', noteLater('a'))
      hooks.beforeCall.tap('b', () => {
        throw error
      })
      hooks.sessionEnd.tap('c', () => Promise.reject(error))
      await thrownBy(() => set.beforeCall.run(call))
      expect(hooks.inspect()[2]!.taps).to.deep.equal([{ plugin: 'a' }, { plugin: 'b' }])

      hooks.trace((run) => runs.push(run))
      await thrownBy(() => set.beforeCall.run(call))
      await set.sessionEnd.run(call)
      hooks.trace(undefined)
      await thrownBy(() => set.beforeCall.run(call))

      expect(runs.map(({ durationMs, ...rest }) => ({ ...rest, timed: durationMs >= 0 }))).to.deep.equal([
        { hook: 'beforeCall', plugin: 'a', timed: true },
        { hook: 'beforeCall', plugin: 'b', timed: true, error },
        { hook: 'sessionEnd', plugin: 'c', timed: true, error },
      ])
      const [a] = hooks.inspect()[2]!.taps
      expect(a).to.deep.equal({ plugin: 'a', calls: 1, meanMs: runs[0]!.durationMs })
    })

    it('traces answers without changing them', async () => {
      const runs: TapRun[] = []
      hooks.trace((run) => runs.push(run))
      hooks.resolveEndpoint.tap('a', () => ({ endpoints: ['tcp://a:1'] }))
      expect(await set.resolveEndpoint.run(query)).to.deep.equal({ endpoints: ['tcp://a:1'] })
      expect(runs.map(({ plugin }) => plugin)).to.deep.equal(['a'])
    })

    it('is not disturbed by a listener that throws, or that comes while a tap runs', async () => {
      hooks.beforeCall.tap('a', async () => {
        hooks.trace(() => {
          throw new Error('listener')
        })
        await Promise.resolve()
      })
      hooks.beforeCall.tap('b', note('b'))
      await set.beforeCall.run(call)
      expect(ran).to.deep.equal(['b'])
      expect(reported.map(({ where }) => where)).to.deep.equal([{ hook: 'beforeCall', plugin: 'trace' }])
    })

    it('refuses a listener that is no function', () => {
      expect(refusal(() => hooks.trace('on' as never), 'ZASK_HOOK_TAP')).to.include('it got "on"')
    })
  })

  describe('the ledger of unfinished taps', () => {
    it('names the taps of lifecycle hooks that have begun and not ended', async () => {
      let release: (() => void) | undefined
      hooks.configLoaded.tap('quick', () => {})
      hooks.configLoaded.tap('hangs', () => new Promise<void>((resolve) => (release = resolve)))
      hooks.configLoaded.tap('after', note('after'))
      const running = set.configLoaded.run({ DEBUG: false })
      const [pending, ...others] = set.pending()
      expect(others).to.deep.equal([])
      expect({ ...pending, sinceMs: 0 }).to.deep.equal({ hook: 'configLoaded', plugin: 'hangs', sinceMs: 0 })
      expect(pending!.sinceMs).to.be.at.least(0)
      release!()
      await running
      expect(set.pending()).to.deep.equal([])
    })

    it('forgets taps that failed, and does not keep those of calls', async () => {
      hooks.stopped.tap('a', () => Promise.reject(new Error('a')))
      hooks.stopped.tap('b', () => {
        throw new Error('b')
      })
      await set.stopped.run({ root: '/' })
      expect(set.pending()).to.deep.equal([])
      hooks.beforeCall.tap('c', () => new Promise(() => {}))
      void set.beforeCall.run(call)
      expect(set.pending()).to.deep.equal([])
    })
  })

  describe('the culprit', () => {
    it('is unknown for errors of nobody and for what is no object', () => {
      for (const error of [new Error('x'), undefined, null, 'text', 5]) {
        expect(set.culprit(error)).to.equal(undefined)
      }
    })

    it('is the last tap that threw where two share one error', async () => {
      const shared = new Error('shared')
      for (const [hook, plugin] of [
        ['beforeCall', 'a'],
        ['configLoaded', 'b'],
      ] as const) {
        hooks[hook].tap(plugin, () => {
          throw shared
        })
      }
      await thrownBy(() => set.beforeCall.run(call))
      await thrownBy(() => set.configLoaded.run({ DEBUG: true }))
      expect(set.culprit(shared)).to.deep.equal({ hook: 'configLoaded', plugin: 'b' })
    })
  })
})
