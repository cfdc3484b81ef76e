import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Core, createCore, type HookReport, type Plugin, type TapRun } from '../../core/index.ts'
import { type TestCore, testCore } from './test-core.ts'

export interface PluginContractOptions<P extends Plugin> {
  /** Title of the suite, and the name the plugin must bear. */
  name: string
  /** Makes the plugin; called several times, each time for another core. */
  create(): P
  /** Makes the plugins that must stand before it. Default: none. */
  before?(): readonly Plugin[]
  /** Config values it needs, or that keep it from writing where a test must not. */
  config?: Readonly<Record<string, unknown>>
  /** Header keys without which it would refuse a call. */
  headers?: Readonly<Record<string, unknown>>
  /** Throws while something of a call is still held: an open session, a borrowed connection. Default: not asked. */
  idle?(plugin: P): void | Promise<void>
  /** Default: those of the test runner, `globalThis.describe` and `globalThis.it`. */
  describe?: (title: string, body: () => void) => unknown
  it?: (title: string, body: () => Promise<void>) => unknown
}

/** What is called while the plugin is watched: every way in which a call can end. */
class Probe {
  static readonly service = 'contract'
  static readonly version = '1.0'
  readonly entered: string[] = []
  core: Core | undefined

  echo(value: unknown): unknown {
    return value
  }

  fail(): never {
    throw new RangeError('on purpose')
  }

  *count(): Generator<number> {
    for (let i = 1; ; i++) yield i
  }

  /** Runs until it is told to stop. */
  async wait(name: string): Promise<void> {
    const signal = this.core?.currentCall?.signal
    ok(signal, 'a served method has a current call')
    this.entered.push(name)
    await sleep(60_000, undefined, { ref: false, signal })
  }
}

/** A core with the plugin at work in it. */
interface World<P extends Plugin> {
  readonly plugin: P
  readonly probe: Probe
  readonly test: TestCore<readonly Plugin[], readonly [Probe]>
  readonly headers: Readonly<Record<string, unknown>>
  /** Ids of the served calls, and of those whose session has ended, once for each time. */
  readonly began: string[]
  readonly ended: string[]
  /** Runs of the plugin's own taps. */
  readonly runs: TapRun[]
}

const endings: Readonly<Record<string, (world: World<Plugin>) => Promise<void>>> = {
  'an answer': async ({ test }) => strictEqual(await test.client.echo(1), 1),
  'a throw': async ({ test }) => rejects(async () => test.client.fail(), { remoteName: 'RangeError' }),
  'a stream that is left': async ({ test }) => {
    for await (const item of test.client.count()) if (item === 3) break
  },
  'a call that is cancelled': async ({ test, probe }) => {
    const caller = new AbortController()
    const call = test.client.$with({ signal: caller.signal }).wait('cancelled')
    await begun(call, () => probe.entered.includes('cancelled'))
    caller.abort()
    await rejects(async () => call)
  },
  'a caller that is lost': async ({ test, probe, headers }) => {
    // A socket of its own with quick beats: the silence of this caller is noticed in a moment.
    const endpoint = `${test.endpoint}-lost`
    const heartbeat = { intervalMs: 20 }
    await test.core.start(probe, { bind: endpoint, heartbeat, signals: false })
    // A bare core: it closes its socket without a word, as a process does that is killed.
    const caller = createCore()
    const client = await caller.client<Probe>(endpoint, { heartbeat, headers })
    const call = client.wait('lost')
    await begun(call, () => probe.entered.includes('lost'))
    await caller.stop()
    await rejects(async () => call)
  },
}

/**
 * The suite that every plugin should pass, the built-in ones do: name, synchronous `apply` without I/O, taps that
 * carry the name, cores that share nothing, and a clean end of every call and of the core.
 *
 * Works with any runner that has `describe` and `it`.
 */
export function pluginContract<P extends Plugin>(options: PluginContractOptions<P>): void {
  const { name } = options
  const create = (): P => options.create()
  const runner = globalThis as Partial<
    Record<'describe' | 'it', (title: string, body: () => unknown) => unknown>
  >
  const describe = options.describe ?? runner.describe
  const it = options.it ?? runner.it
  ok(describe && it, 'pluginContract needs describe and it: pass those of your test runner')

  describe(`the plugin ${name} keeps the contract of plugins:`, () => {
    it('it bears its name, and its factory makes a new one each time', async () => {
      const [one, other] = [create(), create()]
      strictEqual(one.name, name)
      strictEqual(other.name, name)
      notStrictEqual(one, other, 'the factory returned the same plugin twice: two cores would share it')
    })

    it('its apply is synchronous and opens nothing', async () => {
      const before = resources()
      const results: unknown[] = []
      const plugin = create()
      const apply = plugin.apply.bind(plugin)
      plugin.apply = (core) => void results.push(apply(core))
      compose(options, plugin)
      deepStrictEqual(results, [undefined], 'apply returns nothing: nobody would wait for it')
      deepStrictEqual(
        grown(before),
        [],
        'apply has opened handles or timers: do that in a tap of configLoaded',
      )
    })

    it('its taps carry its name', async () => {
      const known = new Map(tapNames(compose(options)))
      for (const [hook, names] of tapNames(compose(options, create()))) {
        const others = known.get(hook) ?? []
        const added = names.filter((one) => !others.includes(one))
        for (const one of added) strictEqual(one, name, `a tap of ${hook} is called '${one}'`)
      }
    })

    it('two cores share nothing of it', async () => {
      const one = await world(options)
      const other = await world(options)
      try {
        strictEqual(await one.test.client.echo('one'), 'one')
        await idle(one, options)
        deepStrictEqual(other.runs, [], 'a call in one core ran taps in another')
        await one.test.stop()
        const answer = await other.test.client.echo('other')
        strictEqual(answer, 'other', 'the other core goes on when one has stopped')
      } finally {
        await one.test.stop()
        await other.test.stop()
      }
    })

    for (const [ending, act] of Object.entries(endings)) {
      it(`after ${ending} the session has ended once and nothing is held`, async () => {
        const made = await world(options)
        try {
          await act(made)
          await idle(made, options)
        } finally {
          await made.test.stop()
        }
        checkSessions(made)
      })
    }

    it('after a stop in the middle of calls every session has ended once and nothing is left open', async () => {
      // Test runners start the timer of a test once its function has returned a promise.
      await sleep(1)
      const before = resources()
      const made = await world(options, 50)
      const calls = ['a', 'b', 'c'].map((title) => made.test.client.wait(title))
      try {
        await begun(Promise.race(calls), () => made.probe.entered.length === calls.length)
      } finally {
        await made.test.stop()
        await Promise.allSettled(calls)
      }
      await idle(made, options)
      strictEqual(made.began.length, calls.length)
      checkSessions(made)
      // Sockets are closed by another thread, a moment later.
      await until(
        'what was opened is closed',
        () => grown(before).length === 0,
        () => grown(before).join(', '),
        2,
      )
    })
  })
}

/** A core that is never started: what `createCore` does to the plugins, and no more. */
function compose<P extends Plugin>(options: PluginContractOptions<P>, plugin?: P): readonly HookReport[] {
  const plugins: readonly Plugin[] = [
    ...(options.before?.() ?? []),
    ...(plugin === undefined ? [] : [plugin]),
  ]
  return createCore({ plugins }).hooks.inspect()
}

function tapNames(reports: readonly HookReport[]): [hook: string, names: string[]][] {
  return reports.map(({ hook, taps }) => [hook, taps.map(({ plugin }) => plugin)])
}

async function world<P extends Plugin>(
  options: PluginContractOptions<P>,
  shutdownTimeoutMs = 1000,
): Promise<World<P>> {
  const [began, ended]: [string[], string[]] = [[], []]
  const plugin = options.create()
  const witness: Plugin = {
    name: 'contract-witness',
    apply(core) {
      core.hooks.beforeCall.tap('contract-witness', (call) => {
        if (call.side === 'server') began.push(call.id)
      })
      core.hooks.sessionEnd.tap('contract-witness', (call) => void ended.push(call.id))
    },
  }
  const plugins: readonly Plugin[] = [...(options.before?.() ?? []), plugin, witness]
  const probe = new Probe()
  const headers = options.headers ?? {}
  const test = await testCore({
    services: [probe],
    plugins,
    config: { ...options.config },
    start: { shutdownTimeoutMs },
    client: { headers },
  })
  probe.core = test.core as unknown as Core
  const runs: TapRun[] = []
  test.core.hooks.trace((run) => {
    if (run.plugin === options.name) runs.push(run)
  })
  return { plugin, probe, test, headers, began, ended, runs }
}

/** Waits until core is done with all calls, then asks the plugin. */
async function idle<P extends Plugin>(
  { test, plugin }: World<P>,
  options: PluginContractOptions<P>,
): Promise<void> {
  const open = (): number[] => {
    const { running, queued, calling } = test.core.stats.now
    return [running, queued, calling]
  }
  await until(
    'no call is open',
    () => open().every((count) => count === 0),
    () => `${open().join(', ')} still are`,
  )
  await options.idle?.(plugin)
}

function checkSessions({ began, ended, runs }: World<Plugin>): void {
  ok(
    began.length > 0,
    'no call reached the service: does the plugin refuse it? Pass config or headers to let it in',
  )
  deepStrictEqual(ended.toSorted(), began.toSorted(), 'each session ends exactly once')
  const failed = runs.filter((run) => 'error' in run)
  deepStrictEqual(failed, [], 'taps of the plugin have failed')
}

/** Handles, requests and timers that keep the process alive, by kind. Standard streams come with the first write. */
function resources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind !== 'TTYWrap' && kind !== 'PipeWrap') counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

function grown(before: ReadonlyMap<string, number>): string[] {
  return [...resources()].filter(([kind, count]) => count > (before.get(kind) ?? 0)).map(([kind]) => kind)
}

/** Waits until a call runs, or throws what it has ended with. */
async function begun(call: Promise<unknown>, runs: () => boolean): Promise<void> {
  const refused = call.then(() => {
    throw new Error('the call has ended before it should')
  })
  await Promise.race([until('the call runs', runs), refused])
  // It is to fail later, and is looked at then.
  refused.catch(() => undefined)
}

async function until(what: string, holds: () => boolean, detail?: () => string, seconds = 5): Promise<void> {
  const giveUpAt = performance.now() + seconds * 1000
  while (!holds()) {
    const seen = detail === undefined ? '' : `: ${detail()}`
    ok(performance.now() < giveUpAt, `waited ${seconds} s, and it is still not so that ${what}${seen}`)
    await sleep(5)
    // A timer counts as active until its callback, and what that resumes, has returned.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
