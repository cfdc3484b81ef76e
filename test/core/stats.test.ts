import { expect } from 'chai'
import { createCore, createLogger, type Plugin, type PluginCore } from '../../core/index.ts'
import { Cores, failure } from '../support/cores.ts'

type CountingCore = PluginCore<{ stats: Record<string, object> }>

/** A plugin that counts, in whatever way. */
function counting(
  name: string,
  apply: (core: CountingCore) => void,
): Plugin<{ stats: Record<string, object> }> {
  return { name, apply }
}

function fail(): never {
  throw new Error('on purpose')
}

describe('core.stats.hooks', () => {
  const cores = new Cores()
  afterEach(() => cores.close())

  it('counts observers that failed, and no gate: what that ends is counted as a call', async () => {
    const clumsy: Plugin = {
      name: 'clumsy',
      apply({ hooks }) {
        hooks.beforeCall.tap('clumsy', ({ side, method }) => {
          if (side === 'server' && method === 'gated') fail()
        })
        hooks.afterCall.tap('clumsy', ({ side }) => void (side === 'server' && fail()))
      },
    }
    const core = cores.make([clumsy])
    core.setLogger(createLogger({ write: () => undefined }))
    const service = { gated: () => 1, open: () => 2 }
    const { endpoints } = await core.start(service, { bind: 'tcp://127.0.0.1:*', signals: false })
    const client = await core.client<typeof service>(endpoints)
    expect(await client.open()).equal(2)
    expect((await failure(client.gated())).message).equal('on purpose')
    expect(core.stats.hooks).deep.equal({ failed: 2 })
    expect(core.stats.served).include({ ok: 1, failed: 1 })
  })
})

describe('what plugins count', () => {
  const cores = new Cores()
  afterEach(() => cores.close())

  it('stands in core.stats under their names, and is asked for when it is read', () => {
    const sums = { opened: 0, reports: 0 }
    const core = cores.make([
      counting('rooms', () => undefined),
      counting('doors', (inner) => inner.addStats('doors', () => ({ ...sums, reports: ++sums.reports }))),
    ])
    expect(sums.reports).equal(0)
    sums.opened = 5
    expect(core.stats.plugins).deep.equal({ doors: { opened: 5, reports: 1 } })
    sums.opened = 6
    expect(core.stats.plugins).deep.equal({ doors: { opened: 6, reports: 2 } })
    expect(core.stats.served).deep.equal({ ok: 0, failed: 0, overloaded: 0 })
  })

  it('is empty where nobody counts', () => {
    expect(cores.make().stats.plugins).deep.equal({})
  })

  const failing: Readonly<Record<string, [report: () => unknown, message: string]>> = {
    throws: [
      () => {
        throw new RangeError('on purpose')
      },
      'on purpose',
    ],
    'returns nothing': [() => undefined, 'it returned undefined'],
    'returns a number': [() => 5, 'it returned 5'],
    'returns a promise': [() => Promise.reject(new Error('late')), 'it returned a promise'],
  }
  for (const [what, [report, message]] of Object.entries(failing)) {
    it(`is without the report that ${what}, which the log names, and has the others`, async () => {
      const core = cores.make([
        counting('clumsy', (inner) => inner.addStats('clumsy', report as () => object)),
        counting('doors', (inner) => inner.addStats('doors', () => ({ opened: 1 }))),
      ])
      expect(core.stats.plugins).deep.equal({ doors: { opened: 1 } })
      expect(cores.logged).have.length(1)
      expect(cores.logged[0]).include(`plugin clumsy failed in core.stats: ${message}`)
      // A rejection that nobody waits for would have ended the process by now.
      await new Promise((resolve) => setImmediate(resolve))
    })
  }

  const refused: Readonly<Record<string, [apply: (core: CountingCore) => void, message: string]>> = {
    'a second report under one name': [
      (core) => {
        core.addStats('doors', () => ({}))
        core.addStats('doors', () => ({}))
      },
      "addStats('doors') was called before",
    ],
    'a report without a name': [(core) => core.addStats('', () => ({})), 'has no name'],
    'a report that is no function': [(core) => core.addStats('doors', {} as never), 'has no function'],
  }
  for (const [what, [apply, message]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      expect(() => createCore({ plugins: [counting('doors', apply)] }))
        .throw(message)
        .include({ code: 'ZASK_PLUGIN_INVALID' })
    })
  }
})
