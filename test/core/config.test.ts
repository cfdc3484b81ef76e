import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { expect } from 'chai'
import type { CoreConfig } from '../../core/config.ts'
import { Config, defineConfig } from '../../core/config.ts'
import { refusal, rejection } from '../support/refusals.ts'

/** What `core.config` is to somebody whose plugins own these keys. */
type Keys = Config & Readonly<CoreConfig & { A: unknown; B: unknown; LATER: unknown }>

function compute(): number {
  return 1
}

function origins(config: Config): Record<string, string> {
  return Object.fromEntries(config.explain().map(({ key, origin }) => [key, origin]))
}

describe('config', () => {
  let root: string
  let config: Keys

  /** Its path, absolute. Module names must differ from test to test: Node loads each file once. */
  async function file(name: string, ...lines: string[]): Promise<string> {
    const path = join(root, name)
    await writeFile(path, lines.join('\n'))
    return path
  }

  function make(env: NodeJS.ProcessEnv = {}): Keys {
    return Object(new Config({ root, env }))
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'zask-config-'))
    await file('package.json', '{ "type": "module" }')
  })
  after(() => rm(root, { recursive: true }))
  beforeEach(() => {
    config = make()
  })

  describe('a key', () => {
    it('is a property and an argument of get() alike, and has() and keys() know it', () => {
      config.fromObject({ A: 1 })
      expect(config.A).to.equal(1)
      expect(config.get('A')).to.equal(1)
      expect(config.has('A')).to.equal(true)
      expect(config.keys()).to.deep.equal(['A', 'DEBUG'])
    })

    it('that nobody has set is undefined', () => {
      expect(config.LATER).to.equal(undefined)
      expect(config.get('LATER')).to.equal(undefined)
      expect(config.has('LATER')).to.equal(false)
    })

    it('counts only in UPPERCASE, digits and signs allowed', () => {
      config.fromObject({ A: 1, B_2: 2, _C: 3, 'ZERORPC_SOME-SERVICE': 4, a: 5, Ab: 6, _: 7, 1: 8, É: 9 })
      expect(config.keys()).to.deep.equal(['A', 'B_2', 'DEBUG', 'ZERORPC_SOME-SERVICE', '_C', 'É'])
    })

    it('cannot be assigned to, known or not: the message tells of set()', () => {
      for (const key of ['DEBUG', 'LATER', 'lower']) {
        const error = refusal(() => Reflect.set(config, key, false))
        expect(error.code).to.equal('ZASK_OPTION_INVALID')
        expect(error.message).to.contain(`config.set('${key}', value)`)
      }
      expect(config.DEBUG).to.equal(true)
    })

    it('DEBUG is true by default, and core is its owner', () => {
      expect(config.DEBUG).to.equal(true)
      expect(config.explain()).to.deep.equal([
        { key: 'DEBUG', value: true, origin: 'default of core', owner: 'core' },
      ])
    })
  })

  describe('layers', () => {
    it('of which a later one wins key by key, not value by value', async () => {
      await file('first.json', '{ "A": { "x": 1, "y": 1 }, "B": 1 }')
      await file('second.cfg', "A = {'x': 2}")
      await config.fromFile('first.json')
      await config.fromFile('second.cfg')
      expect(config.A).to.deep.equal({ x: 2 })
      expect(config.B).to.equal(1)
    })

    it('lie in the order of the calls, though a file that was asked for first is read last', async () => {
      await file('slow.json', '{ "A": "slow", "B": "slow" }')
      const slow = config.fromFile('slow.json')
      config.fromObject({ A: 'quick' })
      await slow
      expect(config.A).to.equal('quick')
      expect(config.B).to.equal('slow')
    })

    it('of a file that is broken at its end do not come in at all', async () => {
      await file('half.cfg', 'A = 1', 'B = oops()')
      await rejection(config.fromFile('half.cfg'))
      expect(config.has('A')).to.equal(false)
    })

    it('undefined is as good as absent', () => {
      config.fromObject({ DEBUG: undefined, A: null })
      expect(config.DEBUG).to.equal(true)
      expect(config.A).to.equal(null)
    })

    it('set() lies above them, and set() to undefined takes back what was set', () => {
      config.fromObject({ DEBUG: false })
      config.set('DEBUG', true)
      config.set('A', 1, 'a test')
      expect(config.DEBUG).to.equal(true)
      expect(origins(config)).to.deep.equal({ A: 'a test', DEBUG: 'set()' })
      config.set('DEBUG', undefined)
      config.set('A', undefined)
      expect(config.keys()).to.deep.equal(['DEBUG'])
      expect(config.A).to.equal(undefined)
      expect(origins(config)).to.deep.equal({ DEBUG: 'default of core' })
    })

    it('set() refuses a key that is not UPPERCASE', () => {
      expect(refusal(() => config.set('debug', true)).message).to.contain('Write DEBUG.')
    })
  })

  describe('defaults', () => {
    it('lie lowest, whenever they come', () => {
      config.setDefault('A', 'default', 'one')
      config.fromObject({ A: 'set', B: 'set' })
      config.setDefault('B', 'default', 'one')
      expect([config.A, config.B]).to.deep.equal(['set', 'set'])
      config.setDefault('LATER', 'default', 'one')
      expect(config.LATER).to.equal('default')
    })

    it('that come late still fill what a variable left open', () => {
      config = make({ ZASK_A__x: '1' })
      config.fromPrefixedEnv()
      config.setDefault('A', { x: 0, y: 0 }, 'one')
      expect(config.A).to.deep.equal({ x: 1, y: 0 })
    })

    it('of one key from two owners are refused, naming both', () => {
      config.setDefault('A', 1, 'access-log')
      const error = refusal(() => config.setDefault('A', 1, 'audit'))
      expect(error.code).to.equal('ZASK_PLUGIN_CONFIG_KEY')
      expect(error.message).to.contain('access-log').and.contain('audit').and.contain(' A ')
      config.setDefault('A', 2, 'access-log')
      expect(config.A).to.equal(2)
    })

    it('of undefined claim the key and give it no value', () => {
      config.setDefault('A', undefined, 'one')
      expect(config.has('A')).to.equal(false)
      expect(config.keys()).to.deep.equal(['DEBUG'])
      expect(refusal(() => config.setDefault('A', 1, 'two')).code).to.equal('ZASK_PLUGIN_CONFIG_KEY')
    })

    it('of a key that is not UPPERCASE are refused, naming the plugin', () => {
      const error = refusal(() => config.setDefault('logFile', 'x', 'audit'))
      expect(error.code).to.equal('ZASK_PLUGIN_CONFIG_KEY')
      expect(error.message).to.contain('logFile of audit')
    })
  })

  describe('fromObject()', () => {
    it('takes a module', async () => {
      const path = await file('module.ts', 'export const A = 1, lower = 2', 'export default { B: 2 }')
      config.fromObject(await import(pathToFileURL(path).href), 'module.ts')
      expect([config.A, config.B]).to.deep.equal([1, 2])
      expect(origins(config)['A']).to.equal('module.ts')
    })

    it('takes a class with what it inherits, as settings in Python are often written', () => {
      class Base {
        static readonly A: string = 'base'
        static readonly B: string = 'base'
        run(): void {}
      }
      class Production extends Base {
        static override readonly A: string = 'production'
      }
      config.fromObject(Production)
      expect([config.A, config.B]).to.deep.equal(['production', 'base'])
    })

    it('refuses what has no keys, and a promise that was not awaited', () => {
      for (const values of ['null', '"A=1"', '5']) {
        const error = refusal(() => config.fromObject(JSON.parse(values)))
        expect(error.code).to.equal('ZASK_OPTION_INVALID')
      }
      expect(refusal(() => config.fromObject(Promise.resolve({ A: 1 }))).message).to.contain('Await it')
    })
  })

  describe('fromPrefixedEnv()', () => {
    it('takes JSON where a value is JSON, and text where it is not', () => {
      const values: [text: string, expected: unknown][] = [
        ['5', 5],
        ['-1.5e3', -1500],
        ['true', true],
        ['null', null],
        ['"5"', '5'],
        ['[1, {"a": "b"}]', [1, { a: 'b' }]],
        ['', ''],
        ['tcp://127.0.0.1:4242', 'tcp://127.0.0.1:4242'],
        ['True', 'True'],
        ['{a: 1}', '{a: 1}'],
        ['12345678901234567890', '12345678901234567890'],
        ['1e999', '1e999'],
      ]
      for (const [text, expected] of values) {
        config = make({ ZASK_A: text })
        config.fromPrefixedEnv()
        expect(config.A, text).to.deep.equal(expected)
        expect(origins(config)['A']).to.equal('environment variable ZASK_A')
      }
    })

    it('sets A.B from ZASK_A__B and leaves the rest of A, at any depth', () => {
      config = make({ ZASK_A__x: '5', ZASK_A__deep__er: '[1]', ZASK_B__new__one: 'text' })
      config.fromObject({ A: { x: 1, y: 2, deep: { est: 3 } } }, 'the code')
      config.fromPrefixedEnv()
      expect(config.A).to.deep.equal({ x: 5, y: 2, deep: { est: 3, er: [1] } })
      expect(config.B).to.deep.equal({ new: { one: 'text' } })
      expect(origins(config)['A']).to.equal(
        'the code, environment variable ZASK_A__deep__er, environment variable ZASK_A__x',
      )
    })

    it('lays ZASK_A__B into ZASK_A, whatever their order', () => {
      config = make({ ZASK_A__x: '2', ZASK_A: '{ "x": 1, "y": 1 }' })
      config.fromPrefixedEnv()
      expect(config.A).to.deep.equal({ x: 2, y: 1 })
    })

    it('puts parts into a key that is null', () => {
      config = make({ ZASK_A__users: 'sqlite://' })
      config.setDefault('A', null, 'database')
      config.fromPrefixedEnv()
      expect(config.A).to.deep.equal({ users: 'sqlite://' })
    })

    it('is covered by a later value as a whole', () => {
      config = make({ ZASK_A__x: '2' })
      config.fromPrefixedEnv()
      config.set('A', { y: 1 })
      expect(config.A).to.deep.equal({ y: 1 })
      expect(origins(config)['A']).to.equal('set()')
    })

    it('refuses parts of what has none, naming variable, key and origin', () => {
      config = make({ ZASK_A__b__c: '1' })
      config.fromObject({ A: { b: [1] } }, 'the code')
      const error = refusal(() => config.fromPrefixedEnv())
      expect(error.code).to.equal('ZASK_CONFIG_VALUE_INVALID')
      expect(error.message).to.contain('environment variable ZASK_A__b__c').and.contain('A.b (from the code)')
      expect(config.A).to.deep.equal({ b: [1] })
    })

    it('refuses a name with nothing around "__"', () => {
      for (const name of ['ZASK_A__', 'ZASK_A____b']) {
        expect(refusal(() => make({ [name]: '1' }).fromPrefixedEnv()).message).to.contain(name)
      }
    })

    it('passes over lowercase keys and other prefixes, and takes another prefix on request', () => {
      config = make({ ZASK_debug: 'false', OTHER_A: '1', ZASKB: '2', ZASK_: '3' })
      config.fromPrefixedEnv()
      expect(config.keys()).to.deep.equal(['DEBUG'])
      config.fromPrefixedEnv('OTHER_')
      expect(config.A).to.equal(1)
    })

    it('reaches no prototype', () => {
      config = make({
        ZASK_A__constructor__prototype__polluted: '1',
        ZASK_B: '{"__proto__": {"polluted": 1}}',
      })
      config.fromPrefixedEnv()
      expect({}).to.not.have.property('polluted')
      expect(Object.getPrototypeOf(config.B)).to.equal(Object.prototype)
      expect(Object.keys(Object(config.B))).to.deep.equal(['__proto__'])
    })
  })

  describe('values', () => {
    it('cannot be changed by who reads them, nor by who gave them', () => {
      const given = { list: [1], bytes: new Uint8Array([1]), date: new Date(0), map: new Map([['k', [1]]]) }
      config.fromObject({ A: given })
      const other = make()
      other.fromObject({ A: given })
      given.list.push(2)
      given.bytes[0] = 2
      given.date.setTime(5)
      given.map.set('l', [])
      const expected = {
        list: [1],
        bytes: new Uint8Array([1]),
        date: new Date(0),
        map: new Map([['k', [1]]]),
      }
      expect(config.A).to.deep.equal(expected)
      expect(config.A).to.not.equal(other.A)
      const { list } = Object(config.A)
      expect(() => list.push(3)).to.throw(TypeError)
      expect(Object.isFrozen(config.A)).to.equal(true)
    })

    it('of a module are not shared by two cores that load it', async () => {
      await file('shared.ts', 'export const A = { set: new Set([1]) }')
      const other = make()
      await config.fromFile('shared.ts')
      await other.fromFile('shared.ts')
      const { set } = Object(config.A)
      set.add(2)
      expect(other.A).to.deep.equal({ set: new Set([1]) })
    })

    it('that are functions or instances stay what they are', () => {
      class Pool {
        size = 1
      }
      const pool = new Pool()
      config.fromObject({ A: { pool, compute }, B: /x/ })
      expect(Object(config.A).pool).to.equal(pool)
      expect(Object(config.A).compute).to.equal(compute)
      pool.size = 2
      expect(Object(config.A).pool.size).to.equal(2)
    })

    it('may hold themselves', () => {
      const ring: { self?: unknown } = {}
      ring.self = ring
      config.fromObject({ A: ring })
      expect(Object(config.A).self).to.equal(config.A)
      expect(config.explain()[0]?.value).to.deep.equal({ self: '[circular]' })
    })
  })

  describe('namespace()', () => {
    beforeEach(() => config.fromObject({ POOL_SIZE: 5, POOL_MAX_AGE: 1, OTHER: 2 }))

    it('gives the keys that begin with a prefix as an object of options', () => {
      expect(config.namespace('POOL_')).to.deep.equal({ max_age: 1, size: 5 })
    })

    it('leaves case and prefix as they are on request', () => {
      expect(config.namespace('POOL_', { lowercase: false })).to.deep.equal({ MAX_AGE: 1, SIZE: 5 })
      expect(config.namespace('POOL_', { trim: false })).to.deep.equal({ pool_max_age: 1, pool_size: 5 })
      expect(config.namespace('POOL_', { lowercase: false, trim: false })).to.deep.equal({
        POOL_MAX_AGE: 1,
        POOL_SIZE: 5,
      })
    })

    it('is empty where no key begins so', () => {
      expect(config.namespace('NONE_')).to.deep.equal({})
    })
  })

  describe('explain()', () => {
    it('lists key, value, origin and owner, sorted by key', () => {
      config.setDefault('B', 1, 'access-log')
      config.fromObject({ A: 2 }, 'the code')
      expect(config.explain()).to.deep.equal([
        { key: 'A', value: 2, origin: 'the code' },
        { key: 'B', value: 1, origin: 'default of access-log', owner: 'access-log' },
        { key: 'DEBUG', value: true, origin: 'default of core', owner: 'core' },
      ])
    })

    it('masks secrets, at the top and within values', () => {
      config.fromObject({ A: { client_keys: ['s3cret'], url: 'pg://u:s3cret@h' }, API_KEY: 's3cret' })
      expect(config.explain().map(({ value }) => value)).to.deep.equal([
        { client_keys: '***', url: 'pg://u:***@h' },
        '***',
        true,
      ])
    })

    it('leaves the value itself as it is', () => {
      config.fromObject({ API_KEY: 's3cret' })
      config.explain()
      expect(config.get('API_KEY')).to.equal('s3cret')
    })

    it('is what console.log prints, and JSON.stringify writes no value at all', () => {
      config.fromObject({ API_KEY: 's3cret', A: { client_keys: ['s3cret'] } })
      expect(inspect(config)).to.contain("API_KEY: '***'").and.not.contain('s3cret')
      expect(JSON.stringify({ config })).to.not.contain('s3cret')
    })
  })

  describe('check()', () => {
    const kinds: [kinds: Parameters<Config['check']>[1][], right: unknown[], wrong: unknown[]][] = [
      [['boolean'], [true, false], [1, 'true', null]],
      [['number'], [1, 1.5], ['1', Number.NaN, null, 1n]],
      [['integer'], [1, -1], [1.5, '1', 2 ** 60]],
      [['text'], ['', 'x'], [1, null, ['x']]],
      [['list'], [[], [1]], ['x', { length: 0 }, null]],
      [['object'], [{}, { a: 1 }], [[], null, 'x', new Date(0)]],
      [
        ['text', 'list', 'null'],
        ['x', [], null],
        [1, {}],
      ],
      [
        [(value) => (value === 'odd' ? undefined : '"odd"'), 'integer'],
        ['odd', 3],
        ['even', 1.5],
      ],
    ]
    for (const [oneOf, right, wrong] of kinds) {
      const names = oneOf.map((kind) => (typeof kind === 'function' ? 'a rule' : kind)).join(' or ')
      it(`of ${names} takes ${inspect(right)} and refuses ${inspect(wrong)}`, () => {
        const [first, ...rest] = oneOf
        config.check('A', first!, ...rest)
        for (const value of right) {
          config.set('A', value)
          config.validate()
          expect(config.A).to.deep.equal(value)
        }
        for (const value of wrong) {
          config.set('A', value)
          expect(refusal(() => config.validate()).code).to.equal('ZASK_CONFIG_VALUE_INVALID')
          expect(refusal(() => config.A).code).to.equal('ZASK_CONFIG_VALUE_INVALID')
        }
      })
    }

    it('names key, value and file in the error', async () => {
      const path = await file('wrong.json', '{ "DEBUG": "yes" }')
      await config.fromFile(path)
      const error = refusal(() => config.validate())
      expect(error.message).to.contain(`Config key DEBUG must be true or false, but is 'yes' (from ${path})`)
      expect(error.details).to.deep.equal({ keys: ['DEBUG'] })
    })

    it('names all keys that are wrong at once', () => {
      config = make({ ZASK_A: 'x', ZASK_DEBUG: '1' })
      config.check('A', 'integer')
      config.fromPrefixedEnv()
      const error = refusal(() => config.validate())
      expect(error.message)
        .to.contain('A must be an integer')
        .and.contain('DEBUG must be true or false, but is 1')
      expect(error.message).to.contain('environment variable ZASK_A')
      expect(error.details).to.deep.equal({ keys: ['A', 'DEBUG'] })
    })

    it('masks a secret in the error', () => {
      config.check('API_KEY', 'integer')
      config.check('DATABASE_URI', 'null')
      config.fromObject({ API_KEY: 's3cret', DATABASE_URI: 'pg://u:s3cret@h' })
      const { message } = refusal(() => config.validate())
      expect(message).to.contain("'***'").and.contain('pg://u:***@h').and.not.contain('s3cret')
    })

    it('lets a key without a value pass', () => {
      config.check('A', 'integer')
      config.validate()
      expect(config.A).to.equal(undefined)
    })

    it('holds for values that are set later, when they are read', () => {
      config.validate()
      config.set('DEBUG', 'no')
      expect(refusal(() => config.DEBUG).message).to.contain('(from set())')
      expect(() => config.namespace('DEBUG')).to.throw('DEBUG must be')
      expect(config.explain()[0]?.value).to.equal('no')
      config.set('DEBUG', false)
      expect(config.DEBUG).to.equal(false)
    })

    it('holds for values that were read before it was declared', () => {
      config.fromObject({ A: 1 })
      expect(config.A).to.equal(1)
      config.check('A', 'text')
      expect(refusal(() => config.A).code).to.equal('ZASK_CONFIG_VALUE_INVALID')
    })

    it('of a prefix and * holds for all keys that begin so, beside those of the key itself', () => {
      const seen: string[] = []
      config.fromObject({ ZERORPC_A: {}, ZERORPC_B: 'x', ZERO: 1 })
      config.check('ZERORPC_*', (value, key) => {
        seen.push(key)
        return typeof value === 'object' ? undefined : 'a table of versions'
      })
      config.check('ZERORPC_A', 'object')
      expect(refusal(() => config.validate()).message).to.contain('ZERORPC_B must be a table of versions')
      expect(seen).to.deep.equal(['ZERORPC_A', 'ZERORPC_B'])
    })

    it('is refused while a file is still being read', async () => {
      await file('pending.json', '{ "A": 1 }')
      const reading = config.fromFile('pending.json')
      const error = refusal(() => config.validate())
      expect(error.code).to.equal('ZASK_CONFIG_PENDING')
      expect(error.message).to.contain('await')
      await reading
      config.validate()
      await rejection(config.fromFile('not-there.json'))
      config.validate()
    })
  })

  describe('defineConfig()', () => {
    it('returns what it is given, with its types', () => {
      const values = { DEBUG: false, ZERORPC_USERS: { '1.0': 'tcp://127.0.0.1:4242' } }
      const defined = defineConfig(values)
      expect(defined).to.equal(values)
      const endpoint: string = defined.ZERORPC_USERS['1.0']
      expect(endpoint).to.equal('tcp://127.0.0.1:4242')
      // @ts-expect-error DEBUG is a boolean
      defineConfig({ DEBUG: 'yes' })
      // @ts-expect-error a lowercase key does not count
      defineConfig({ debug: true })
      interface Settings {
        POOL_SIZE: number
      }
      defineConfig<Settings>({ POOL_SIZE: 5 })
      // @ts-expect-error not a number
      defineConfig<Settings>({ POOL_SIZE: '5' })
    })

    it('types a module that fromFile() loads', async () => {
      const source = pathToFileURL(join(import.meta.dirname, '../../core/config.ts')).href
      const lines = [
        `import { defineConfig } from '${source}'`,
        'export default defineConfig({ DEBUG: false, A: 1 })',
      ]
      await file('defined.ts', ...lines)
      await config.fromFile('defined.ts')
      expect([config.DEBUG, config.A]).to.deep.equal([false, 1])
    })
  })
})
