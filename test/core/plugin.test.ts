import { expect } from 'chai'
import { ZaskError } from '../../core/errors.ts'
import { checkPlugins, type Plugin } from '../../core/plugin.ts'

/** A sound plugin, with whatever else a test wants of it. */
function plugin(name: string, more: object = {}): Plugin {
  return { name, apply() {}, ...more }
}

function headers(): Plugin {
  return plugin('headers')
}

/** What a compiler for old engines makes of a class with the method `apply`. */
function Old(): void {}
Old.prototype.apply = (): void => {}

/** The error a list is refused with: its code and its text. Lists of JavaScript users may hold anything. */
function refusal(plugins: unknown): { code: string; message: string; details: unknown } {
  try {
    checkPlugins(plugins as Plugin[])
  } catch (error) {
    if (!(error instanceof ZaskError)) throw error
    return { code: error.code, message: error.message, details: error.details }
  }
  throw new Error('the list was accepted')
}

function invalid(value: unknown): string {
  const { code, message } = refusal([plugin('sound'), value])
  expect(code).to.equal('ZASK_PLUGIN_INVALID')
  expect(message).to.match(/^plugins\[1\] /)
  expect(message).to.include("A plugin is { name: 'my-plugin', apply(core) {")
  return message
}

describe('a plugin list', () => {
  it('is accepted when names are unique and what is required stands earlier', () => {
    checkPlugins([])
    checkPlugins([
      plugin('endpoints'),
      plugin('headers', { requires: ['endpoints'] }),
      plugin('chain', { requires: ['headers', 'endpoints'], defaults: { CHAIN: 1 }, face: 1 }),
    ])
  })

  it('is accepted with instances of classes, whose apply is inherited', () => {
    class Base {
      apply(): void {}
    }
    class Timing extends Base {
      readonly name = 'timing'
    }
    checkPlugins([new Timing()])
  })

  it('does not apply its plugins', () => {
    let applied = 0
    checkPlugins([plugin('a', { apply: () => applied++ })])
    expect(applied).to.equal(0)
  })

  it('must be a list', () => {
    for (const value of [undefined, null, {}, plugin('a'), 'endpoints']) {
      const { code, message } = refusal(value)
      expect(code).to.equal('ZASK_PLUGIN_INVALID')
      expect(message).to.equal('plugins must be a list: createCore({ plugins: [endpoints()] })')
    }
  })

  it('refuses a factory that was not called', () => {
    expect(invalid(headers)).to.include('plugins[1] is the function headers: call it, headers().')
    expect(invalid((() => () => {})())).to.include('plugins[1] is a function: call it.')
  })

  it('refuses a class that was not made an instance', () => {
    class Timing {
      readonly name = 'timing'
      apply(): void {}
    }
    expect(invalid(Timing)).to.include('plugins[1] is the class Timing: make one, new Timing().')
    expect(invalid(Old)).to.include('plugins[1] is the class Old: make one, new Old().')
  })

  it('refuses what an import or a factory left undefined, and says where to look', () => {
    for (const value of [undefined, null]) {
      expect(invalid(value)).to.include(`is ${String(value)}: check the name it is imported by`)
    }
    // eslint-disable-next-line no-sparse-arrays -- what a stray comma leaves
    expect(refusal([plugin('a'), , plugin('b')]).message).to.match(/^plugins\[1\] is undefined: /)
  })

  it('refuses the false of a condition, and shows how to leave a plugin out', () => {
    expect(invalid(false)).to.include(
      'is false: a plugin for some cases only is ...(condition ? [plugin()] : [])',
    )
  })

  it('refuses a list within the list, a promise and a whole module', async () => {
    expect(invalid([plugin('a')])).to.include('is a list: spread it')
    expect(invalid(Promise.resolve(plugin('a')))).to.include('is a promise: await it')
    expect(invalid(await import('../../core/near-miss.ts'))).to.include(
      'is a whole module: import its factory',
    )
  })

  it('refuses plugins of other tools by what they lack', () => {
    class WebpackPlugin {
      apply(compiler: unknown): void {
        void compiler
      }
    }
    expect(invalid(new WebpackPlugin())).to.include('plugins[1] has no name.')
    expect(invalid({ name: 'rsbuild:x', setup() {} })).to.include(
      'plugins[1] ("rsbuild:x") has no function apply: rename its setup.',
    )
    expect(invalid({ name: 'rollup', resolveId() {} })).to.include(
      'plugins[1] ("rollup") has no function apply.',
    )
  })

  it('refuses a name that is no text, or empty', () => {
    for (const name of [undefined, null, 5, '', '  ', Symbol('s')]) {
      expect(invalid({ name, apply() {} })).to.include('plugins[1] has no name.')
    }
  })

  it('refuses an async apply', () => {
    expect(invalid({ name: 'a', async apply() {} })).to.include('plugins[1] ("a") has an async apply')
  })

  it('refuses requires and defaults of another shape', () => {
    for (const requires of ['endpoints', [5], {}, null]) {
      expect(invalid(plugin('a', { requires }))).to.include('has requires that are no list of names')
    }
    for (const defaults of [5, null, [], 'A']) {
      expect(invalid(plugin('a', { defaults }))).to.include('has defaults that are no object of config keys')
    }
  })

  it('refuses two plugins of one name, and says where both stand', () => {
    expect(refusal([plugin('a'), plugin('b'), plugin('a')])).to.deep.equal({
      code: 'ZASK_PLUGIN_DUPLICATE',
      message: 'two plugins are called "a": plugins[0] and plugins[2]. Remove one of them',
      details: { plugin: 'a' },
    })
  })

  it('refuses a plugin without the one it requires, and says where to put that', () => {
    expect(
      refusal([plugin('access-log'), plugin('request-chain', { requires: ['http-headers'] })]),
    ).to.deep.equal({
      code: 'ZASK_PLUGIN_REQUIRES',
      message:
        'the plugin "request-chain" requires "http-headers", which is not in the list: ' +
        'add httpHeaders() to the list before requestChain().',
      details: { plugin: 'request-chain', requires: 'http-headers' },
    })
  })

  it('refuses a plugin that stands before the one it requires', () => {
    const { code, message } = refusal([plugin('headers', { requires: ['endpoints'] }), plugin('endpoints')])
    expect(code).to.equal('ZASK_PLUGIN_REQUIRES')
    expect(message).to.equal(
      'the plugin "headers" requires "endpoints", which stands later: put endpoints() before headers() in the list',
    )
  })

  it('asks whether a required name is a slip of the pen', () => {
    const { message } = refusal([plugin('headers'), plugin('chain', { requires: ['header'] })])
    expect(message).to.match(/add header\(\) to the list before chain\(\)\. Did chain mean "headers"\?$/)
  })

  it('quotes names that no factory can have', () => {
    const { message } = refusal([plugin('@acme/Audit', { requires: ['endpoints'] })])
    expect(message).to.match(/: add endpoints\(\) to the list before "@acme\/Audit"\.$/)
  })

  it('says so when no order can satisfy two plugins, or one', () => {
    const mutual = [plugin('a', { requires: ['b'] }), plugin('b', { requires: ['a'] })]
    expect(refusal(mutual).message).to.match(
      /^the plugin "a" requires "b", which requires it in turn: no order/,
    )
    expect(refusal([plugin('a', { requires: ['a'] })]).message).to.match(
      /^the plugin "a" requires "a", which is itself: /,
    )
  })
})
