import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { runInNewContext } from 'node:vm'
import { createCore } from '../../core/index.ts'
import { answerBuiltIn, builtInNames, inspectService, type ArgumentInfo } from '../../core/introspection.ts'
import { Service } from '../../core/service.ts'
import { failure, until } from '../support/cores.ts'
import { callWith } from '../support/guarded.ts'
import type { RawDealer } from '../support/raw-peer.ts'
import { rejection } from '../support/refusals.ts'
import { World } from '../support/world.ts'

interface Point {
  x: number
}

class Numbers<T = number> {
  static readonly service = 'numbers'
  declare kept: T

  /**
   * Add two numbers.
   *
   *   b defaults to 1.
   * @returns the sum
   */
  add(a: number, b = 1): number {
    return a + b
  }

  /** One line. */
  async *count(
    from: number,
    { step = 1 }: { step?: number } = {},
    ...rest: readonly T[]
  ): AsyncGenerator<number> {
    yield from + step + rest.length
  }

  plain<K extends T>(value: K, point: Point = { x: 1 }): [K, Point] {
    return [value, point]
  }

  /** A field. */
  readonly arrow = async (a: number, b: string = 'text'): Promise<string> => `${a}${b}`
}

class Base {
  ask(): void {}
}

class More extends Numbers {
  override plain<K extends number>(other: K): [K, Point] {
    return [other, { x: 1 }]
  }
  /** Its own. */
  own(): number {
    return super.add(1)
  }
}

/** Plain JavaScript, as a built package or another author's module has it. */
function evaluate(source: string): Service {
  const target: object = runInNewContext(source)
  return Service.from(target)
}

async function argsOf(service: Service, name: string): Promise<ArgumentInfo[] | null | undefined> {
  return (await inspectService(service)).methods[name]?.args
}

async function docOf(service: Service, name: string): Promise<unknown> {
  return answerBuiltIn(service, '_zerorpc_help', [name])
}

async function specOf(service: Service, name: string): Promise<unknown> {
  return answerBuiltIn(service, '_zerorpc_args', [name])
}

describe('the six built-in calls', () => {
  const service = Service.from(new Numbers())

  it('are these, and any other name is refused', async () => {
    expect([...builtInNames].toSorted()).to.deep.equal(
      ['args', 'help', 'inspect', 'list', 'name', 'ping'].map((name) => `_zerorpc_${name}`),
    )
    const error = await rejection(() => answerBuiltIn(service, '_zerorpc_\nquit', []))
    expect([error.code, error.name]).to.deep.equal(['ZASK_METHOD_UNKNOWN', 'NameError'])
    expect(error.message).to.match(/^"_zerorpc_\\nquit" is none of _zerorpc_inspect, /)
  })

  it('answer ping and name with the name shown, at once', () => {
    expect(answerBuiltIn(service, '_zerorpc_ping', [])).to.deep.equal(['pong', 'numbers'])
    expect(answerBuiltIn(service, '_zerorpc_name', [])).to.equal('numbers')
    const bare = Service.from({ ask() {} })
    expect(answerBuiltIn(bare, '_zerorpc_ping', [])).to.deep.equal(['pong', 'Object'])
  })

  it('list the methods served and never themselves', () => {
    expect(answerBuiltIn(service, '_zerorpc_list', [])).to.have.members(['add', 'count', 'plain', 'arrow'])
    const narrow = Service.from(new Numbers(), { expose: ['add'] })
    expect(answerBuiltIn(narrow, '_zerorpc_list', [])).to.deep.equal(['add'])
  })

  it('give help as the cleaned doc text, or null where there is none', async () => {
    expect(await docOf(service, 'add')).to.equal('Add two numbers.\n\n  b defaults to 1.\n@returns the sum')
    expect(await docOf(service, 'count')).to.equal('One line.')
    expect(await docOf(service, 'plain')).to.equal(null)
  })

  it("give args in the shape of Python's getargspec, without self", async () => {
    expect(await specOf(service, 'add')).to.deep.equal([['a', 'b'], null, null, [1]])
    expect(await specOf(service, 'count')).to.deep.equal([['from', 'arg1'], 'rest', null, [{}]])
    expect(await specOf(service, 'plain')).to.deep.equal([['value', 'point'], null, null, [{ x: 1 }]])
    const plain = evaluate('({ none() {}, gap(a, b = 2, c) {}, native: [].push })')
    expect(await specOf(plain, 'none')).to.deep.equal([[], null, null, null])
    expect(await specOf(plain, 'native')).to.equal(null)
  })

  it('line the defaults of args up with the last names, as Python reads them', async () => {
    const gap = evaluate('({ gap(a, b = 2, c) {} })')
    expect(await specOf(gap, 'gap')).to.deep.equal([['a', 'b', 'c'], null, null, [2, null]])
    expect(await argsOf(gap, 'gap')).to.deep.equal([{ name: 'a' }, { name: 'b', default: 2 }, { name: 'c' }])
  })

  it('inspect the whole service in the shape that the command line of zerorpc reads', async () => {
    const info = await inspectService(service)
    expect(info).to.deep.equal(await answerBuiltIn(service, '_zerorpc_inspect', []))
    expect(info.name).to.equal('numbers')
    expect(Object.getPrototypeOf(info.methods)).to.equal(null)
    expect({ ...info.methods }).to.deep.equal({
      add: {
        args: [{ name: 'a' }, { name: 'b', default: 1 }],
        doc: 'Add two numbers.\n\n  b defaults to 1.\n@returns the sum',
      },
      count: { args: [{ name: 'from' }, { name: 'arg1', default: {} }], doc: 'One line.' },
      plain: { args: [{ name: 'value' }, { name: 'point', default: { x: 1 } }], doc: null },
      arrow: { args: [{ name: 'a' }, { name: 'b', default: 'text' }], doc: 'A field.' },
    })
  })

  it('refuse a method that is not there with the KeyError of Python and the likely name', async () => {
    for (const name of ['_zerorpc_help', '_zerorpc_args']) {
      const error = await rejection(() => answerBuiltIn(service, name, ['coutn']))
      expect([error.code, error.name]).to.deep.equal(['ZASK_METHOD_UNKNOWN', 'KeyError'])
      expect(error.message).to.equal('numbers has no method "coutn": did you mean "count"?')
    }
    const far = await rejection(() => answerBuiltIn(service, '_zerorpc_help', ['toString']))
    expect(far.message).to.equal('numbers has no method "toString": _zerorpc_list names them all')
    const long = await rejection(() => answerBuiltIn(service, '_zerorpc_help', ['x'.repeat(1_000_000)]))
    expect(long.message.length).to.be.below(200)
  })

  it('refuse a missing method name, or one that is not text, as wrong arguments', async () => {
    const none = await rejection(() => answerBuiltIn(service, '_zerorpc_args', []))
    expect([none.code, none.name]).to.deep.equal(['ZASK_ARGS_INVALID', 'TypeError'])
    expect(none.message).to.equal('_zerorpc_args got no arguments: pass the name of a method')
    const wrong = await rejection(() => answerBuiltIn(service, '_zerorpc_help', [{}]))
    expect(wrong.message).to.match(/got a first argument of the type object/)
  })

  it('hand out answers that the next one does not share', async () => {
    const first = await inspectService(service)
    first.methods['plain']!.args!.push({ name: 'more' })
    Object.assign(first.methods['plain']!.args![1]!.default!, { x: 2 })
    expect(await argsOf(service, 'plain')).to.deep.equal([
      { name: 'value' },
      { name: 'point', default: { x: 1 } },
    ])
    expect(await specOf(service, 'plain')).to.deep.equal([['value', 'point'], null, null, [{ x: 1 }]])
  })

  it('load no parser until source text is asked for', () => {
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
      const { Service } = await import('./core/service.ts')
      const { answerBuiltIn } = await import('./core/introspection.ts')
      const service = Service.from({ ask() {} })
      for (const name of ['ping', 'name', 'list']) answerBuiltIn(service, '_zerorpc_' + name, [])
      const parsers = () => loaded.filter((url) => url.includes('acorn')).length
      const before = parsers()
      await answerBuiltIn(service, '_zerorpc_inspect', [])
      console.log(JSON.stringify([before, parsers() > 0]))`
    const cwd = new URL('../../', import.meta.url)
    const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd,
      encoding: 'utf8',
    })
    expect(child.stdout.trim(), child.stderr).to.equal('[0,true]')
  })
})

describe('argument names', () => {
  it('are read of every way to write a function', async () => {
    const service = evaluate(`({
      shorthand(a) {}, async later(a) {}, *generated(a) {}, async *streamed(a) {},
      'quoted'(a) {}, ['comp' + 'uted'](a) {}, get(a) {}, async(a) {}, static(a) {}, function(a) {},
      arrow: a => a, asyncArrow: async a => a, paren: (a) => ({ a }),
      fn: function (a) {}, named: async function other(a) {}, generator: function* (a) {},
      commented: (a /* first */) => a // last
    })`)
    const { methods } = await inspectService(service)
    expect(Object.keys(methods)).to.have.length(17)
    for (const [name, { args }] of Object.entries(methods)) expect(args, name).to.deep.equal([{ name: 'a' }])
  })

  it('are read of methods whose text only makes sense in its class or module', async () => {
    const service = evaluate(`
      class Base { ask() {} }
      class Odd extends Base {
        #secret = 1
        static { this.ready = true }
        static other(z) {}
        get value() { return 1 }
        ;
        ['literal'](a) { return this.#secret }
        ['comp' + 'uted'](b) { return super.ask(this.#secret, new.target) }
        async waits(c, d = await1()) { await c; return import('x') }
        #hidden(e) {}
        field = function (f) {}
        wrapped = ((g) => g)
        made = [(h) => super.ask(h)][0]
        static literal(z) {}
      }
      new Odd()`)
    const { methods } = await inspectService(service)
    const names = Object.entries(methods).map(([name, { args }]) => [name, args?.map((arg) => arg.name)])
    expect(Object.fromEntries(names)).to.deep.equal({
      literal: ['a'],
      computed: ['b'],
      waits: ['c', 'd'],
      field: ['f'],
      wrapped: ['g'],
      made: ['h'],
      ask: [],
    })
  })

  it('are read of a class that only its module could declare', async () => {
    class Late extends (await Promise.resolve(Base)) {
      /** Where it stands. */
      where(suffix: string): string {
        return import.meta.url + suffix
      }
    }
    const { methods } = await inspectService(Service.from(new Late()))
    expect(methods['where']).to.deep.equal({ args: [{ name: 'suffix' }], doc: 'Where it stands.' })
  })

  it('of destructured parameters say their position', async () => {
    const service = evaluate('({ ask({ a }, b, [c] = [1, 2], ...[d]) {} })')
    expect(await specOf(service, 'ask')).to.deep.equal([['arg0', 'b', 'arg2'], 'arg3', null, [[1, 2]]])
  })

  it('are null of native and bound functions, and nothing is thrown', async () => {
    const service = evaluate(
      '({ native: Math.max, bound: function (a) {}.bind(null), proxied: new Proxy(() => 1, {}) })',
    )
    const { methods } = await inspectService(service)
    for (const name of ['native', 'bound', 'proxied']) {
      expect(methods[name], name).to.deep.equal({ args: null, doc: null })
    }
  })

  it('do not come from a toString that a function brings along', async () => {
    const ask = Object.assign((a: number) => a, { toString: () => 'function (lie) {}' })
    expect(await argsOf(Service.from({ ask }), 'ask')).to.deep.equal([{ name: 'a' }])
  })

  it('of an inherited and of an overridden method are those of the class that declares it', async () => {
    const service = Service.from(new More())
    expect(await argsOf(service, 'add')).to.deep.equal([{ name: 'a' }, { name: 'b', default: 1 }])
    expect(await argsOf(service, 'plain')).to.deep.equal([{ name: 'other' }])
    expect(await argsOf(service, 'own')).to.deep.equal([])
  })

  it('of methods mixed into a prototype are their own', async () => {
    const service = evaluate(`
      class Mixed { own(a) {} }
      Object.assign(Mixed.prototype, { mixed(b) {} })
      new Mixed()`)
    expect(await argsOf(service, 'own')).to.deep.equal([{ name: 'a' }])
    expect(await argsOf(service, 'mixed')).to.deep.equal([{ name: 'b' }])
  })

  it('of a class written as a function are read of its methods', async () => {
    const service = evaluate('function Old() {}; Old.prototype.ask = function (a) {}; new Old()')
    expect(await argsOf(service, 'ask')).to.deep.equal([{ name: 'a' }])
  })
})

describe('default values', () => {
  const literals: [string, unknown][] = [
    ['1', 1],
    ['-1.5', -1.5],
    ['+2', 2],
    ['0x10', 16],
    ["'text'", 'text'],
    ['`text`', 'text'],
    ['true', true],
    ['!1', false],
    ['null', null],
    ['undefined', null],
    ['[]', []],
    ["[1, [-2, 'x'], null]", [1, [-2, 'x'], null]],
    ["{ a: 1, 'b c': { d: [true] }, 3: undefined }", { 3: null, a: 1, 'b c': { d: [true] } }],
    ['10n', 10n],
    ['-9223372036854775808n', -(2n ** 63n)],
  ]
  for (const [source, value] of literals) {
    it(`written as ${source} are given as the value`, async () => {
      expect(await argsOf(evaluate(`({ ask(a = ${source}) {} })`), 'ask')).to.deep.equal([
        { name: 'a', default: value },
      ])
    })
  }

  const others = ['now()', 'other', '/x/', '`a${1}`', '[...x]', '[,]', '{ ...x }', '{ [x]: 1 }', '{ a() {} }']
  for (const source of [
    ...others,
    '{ get a() { return 1 } }',
    '{ __proto__: [] }',
    '1 + 1',
    '-x',
    '!x',
    '2n ** 70n',
    '99999999999999999999n',
    'function () {}',
    'void 0',
    'this.x',
  ]) {
    it(`written as ${source} are null, for they say nothing before the call`, async () => {
      expect(await argsOf(evaluate(`({ ask(a = ${source}) {} })`), 'ask')).to.deep.equal([
        { name: 'a', default: null },
      ])
    })
  }
})

describe('doc text', () => {
  it('is cleaned of its stars and its margin, and of nothing else', async () => {
    const service = evaluate(`
      class Docs {
        /**
         * First.
         *
         *     indented **bold**
         * - @param {x} a  kept
         *
         */
        stars() {}
        /**
           no stars
             at all
        */
        bare() {}
        /** same line
         *  as the stars */
        same() {}
        /**First*/
        tight() {}
        /** */
        empty() {}
      }
      new Docs()`)
    expect(await docOf(service, 'stars')).to.equal('First.\n\n    indented **bold**\n- @param {x} a  kept')
    expect(await docOf(service, 'bare')).to.equal('no stars\n  at all')
    expect(await docOf(service, 'same')).to.equal('same line\nas the stars')
    expect(await docOf(service, 'tight')).to.equal('First')
    expect(await docOf(service, 'empty')).to.equal(null)
  })

  it('is that of lines ending in CR LF too', async () => {
    const service = evaluate(
      'class D {\r\n  /**\r\n   * a\r\n   *\r\n   * b\r\n   */\r\n  ask() {}\r\n}\r\nnew D()',
    )
    expect(await docOf(service, 'ask')).to.equal('a\n\nb')
  })

  it('is the last JSDoc comment that touches the method, past other comments', async () => {
    const service = evaluate(`
      class Near { /** in the class */ first() {} /** beside */ second() {}
        /** old */
        /** new */
        twice() {}
        /** kept */
        // lint-disable-next-line
        /* plain */
        past() {}
        /** far */

        far() {}
        //* no */
        /* no */
        /*** banner */
        none() {}
        field = 1 /** of the field */
        after() {}
        inner() { /** inside */ }
        last() {}
      }
      new Near()`)
    const docs: Record<string, unknown> = {}
    for (const name of service.methods.keys()) docs[name] = await docOf(service, name)
    expect(docs).to.deep.equal({
      first: 'in the class',
      second: 'beside',
      twice: 'new',
      past: 'kept',
      far: null,
      none: null,
      after: null,
      inner: null,
      last: null,
    })
  })

  it('of a declaration that type stripping blanks out does not pass to the next method', async () => {
    class Declared {
      /** Not of ask. */
      declare kept: number
      ask(): number {
        return this.kept
      }
    }
    expect(await docOf(Service.from(new Declared()), 'ask')).to.equal(null)
  })

  it('of an inherited method is that of the declaring class, of an overridden one its own', async () => {
    const service = Service.from(new More())
    expect(await docOf(service, 'count')).to.equal('One line.')
    expect(await docOf(service, 'arrow')).to.equal('A field.')
    expect(await docOf(service, 'own')).to.equal('Its own.')
    const overridden = evaluate(`
      class A { /** of A */ ask() {} }
      class B extends A { ask() {} }
      new B()`)
    expect(await docOf(overridden, 'ask')).to.equal(null)
  })

  it('of static docs wins over the comment, down to the class that declares the method', async () => {
    const service = evaluate(`
      class A {
        static docs = { ask: '  record\\n    cleaned  ', tell: 'of A', overridden: 'of A', toldByB: 'of A' }
        /** comment */ ask() {} /** comment */ kept() {}
        tell() {} overridden() {} toldByB() {} toString() {}
      }
      class B extends A { static docs = { toldByB: 'of B', tell: 5 }
        /** of B */ overridden() {} }
      new B()`)
    expect(await docOf(service, 'ask')).to.equal('record\ncleaned')
    expect(await docOf(service, 'kept')).to.equal('comment')
    expect(await docOf(service, 'tell')).to.equal('of A')
    expect(await docOf(service, 'toldByB')).to.equal('of B')
    expect(await docOf(service, 'overridden')).to.equal('of B')
    expect(await docOf(service, 'toString')).to.equal(null)
  })

  it('of static docs is not taken from a class whose method is replaced further down', async () => {
    const service = evaluate(`
      class A { static docs = { ask: 'of A' }; ask() {} }
      class B extends A {}
      Object.assign(B.prototype, { ask() {} })
      new B()`)
    expect(await docOf(service, 'ask')).to.equal(null)
  })

  it('of static docs is there where no source can be read', async () => {
    const service = evaluate(`
      class A { static docs = { ask: 'told' } }
      A.prototype.ask = function (a) {}.bind(null)
      new A()`)
    expect({ ...(await inspectService(service)).methods }).to.deep.equal({ ask: { args: null, doc: 'told' } })
  })
})

/** Name, message and headers of what a call is answered with. */
async function answerTo(dealer: RawDealer, method: string, header: object = {}): Promise<unknown[]> {
  const { name, args, header: answered } = await callWith(dealer, method, [], header)
  const { message_id: _id, response_to: _to, ...rest } = answered
  return [name, args, rest]
}

describe('introspection: false', () => {
  let world: World
  beforeEach(() => (world = new World()))
  afterEach(() => world.close())

  const others = [...builtInNames].filter((name) => name !== '_zerorpc_ping')
  const numbers = { add: (a: number, b: number) => a + b }

  it('makes the built-in calls unknown names, but for the ping, and the methods are there', async () => {
    const { core, endpoint } = await world.serve(numbers, { introspection: false })
    const dealer = world.dealer(endpoint)
    const unknown = await answerTo(dealer, 'nobody')
    for (const name of [...others, '_zask_stats']) {
      const expected = JSON.parse(JSON.stringify(unknown).replaceAll('nobody', name)) as unknown
      expect(await answerTo(dealer, name), name).to.deep.equal(expected)
    }
    expect((await answerTo(dealer, '_zerorpc_ping')).slice(0, 2)).to.deep.equal(['OK', [['pong', 'Object']]])
    expect((await dealer.call('add', [1, 2])).args).to.deep.equal([3])
    // They count as the failed calls they are.
    await until(() => core.stats.services[0]?.served.ok === 2)
    expect(core.stats.services[0]?.served).to.deep.equal({ ok: 2, failed: 2 + others.length, overloaded: 0 })
  })

  it('holds where the pool is full as well', async () => {
    const held = { hold: () => new Promise(() => undefined) }
    const { endpoint } = await world.serve(held, { introspection: false, poolSize: 1, queueSize: 0 })
    const dealer = world.dealer(endpoint)
    dealer.request('hold', [], {})
    expect((await answerTo(dealer, '_zask_stats'))[1]).to.have.property('0', 'Overloaded')
  })

  it('does not tell the services of a shared endpoint either', async () => {
    const core = world.core()
    const { endpoints } = await core.start([numbers, { sub: () => 0 }], {
      bind: 'tcp://127.0.0.1:*',
      signals: false,
      introspection: false,
    })
    const dealer = world.dealer(endpoints[0] as string)
    for (const name of others) {
      expect((await answerTo(dealer, name))[1], name).to.deep.equal(['NameError', name, ''])
    }
  })

  it('is said by the config as well, above which the option stands', async () => {
    for (const [said, option, expected] of [
      [false, undefined, 'ERR'],
      [false, true, 'OK'],
      [true, false, 'ERR'],
      [true, undefined, 'OK'],
    ] as const) {
      const core = createCore({ config: { DEBUG: false, INTROSPECTION: said } })
      world.add(core, (one) => one.stop())
      const { endpoints } = await core.start(numbers, {
        bind: 'tcp://127.0.0.1:*',
        signals: false,
        ...(option !== undefined && { introspection: option }),
      })
      const [name] = await answerTo(world.dealer(endpoints[0] as string), '_zerorpc_list')
      expect(name, `${said}, ${option}`).to.equal(expected)
    }
  })

  it('is true or false, and nothing else', async () => {
    const error = await failure(world.serve(numbers, { introspection: 'no' as never }))
    expect(error).to.include({ code: 'ZASK_OPTION_INVALID' })
    expect(error.message).to.equal("introspection is true or false, got 'no'.")
    const core = createCore({ config: { INTROSPECTION: 0 as never } })
    world.add(core, (one) => one.stop())
    expect(await failure(core.start(numbers, { bind: 'tcp://127.0.0.1:*', signals: false }))).to.include({
      code: 'ZASK_CONFIG_VALUE_INVALID',
    })
  })
})
