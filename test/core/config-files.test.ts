import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect } from 'chai'
import { Config } from '../../core/config.ts'
import { rejection } from '../support/refusals.ts'

function origins(config: Config): Record<string, string> {
  return Object.fromEntries(config.explain().map(({ key, origin }) => [key, origin]))
}

describe('config files', () => {
  let root: string
  let config: Config

  /** Its path, absolute. Module names must differ from test to test: Node loads each file once. */
  async function file(name: string, ...lines: string[]): Promise<string> {
    const path = join(root, name)
    await writeFile(path, lines.join('\n'))
    return path
  }

  function make(env: NodeJS.ProcessEnv = {}): Config {
    return new Config({ root, env })
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'zask-config-'))
    await file('package.json', '{ "type": "module" }')
  })
  after(() => rm(root, { recursive: true }))
  beforeEach(() => {
    config = make()
  })

  describe('fromFile()', () => {
    it('reads .json, .cfg, .mjs, .js and .ts files alike', async () => {
      await file('same.json', '{ "A": [1, "x", null], "DEBUG": false, "lower": 1 }')
      await file('same.cfg', 'lower = "x"', 'A = (1, lower, None)', 'DEBUG = False')
      await file('same.mjs', 'export const A = [1, "x", null], DEBUG = false, lower = 1')
      await file('same.js', 'export default { A: [1, "x", null], DEBUG: false, lower: 1 }')
      await file(
        'same.ts',
        'export const A: unknown[] = [1, "x", null]',
        'export default { DEBUG: false as boolean }',
      )
      for (const name of ['same.json', 'same.cfg', 'same.mjs', 'same.js', 'same.ts']) {
        config = make()
        expect(await config.fromFile(name), name).to.equal(true)
        expect(config.get('A'), name).to.deep.equal([1, 'x', null])
        expect(config.get('DEBUG'), name).to.equal(false)
        expect(config.keys(), name).to.deep.equal(['A', 'DEBUG'])
        expect(origins(config), name).to.deep.equal({ A: join(root, name), DEBUG: join(root, name) })
      }
    })

    it('takes an absolute path as it is, and a relative one from root', async () => {
      await mkdir(join(root, 'sub'))
      const path = await file('sub/there.json', '{ "A": 1 }')
      expect(await config.fromFile(path)).to.equal(true)
      expect(await config.fromFile('./sub/there.json')).to.equal(true)
      expect(await new Config({ root: join(root, 'sub') }).fromFile('there.json')).to.equal(true)
      expect(new Config().root).to.equal(process.cwd())
    })

    it('of a module takes named exports before those of the default export', async () => {
      await file('both.ts', 'export const A = "named"', 'export default { A: "default", B: "default" }')
      await config.fromFile('both.ts')
      expect([config.get('A'), config.get('B')]).to.deep.equal(['named', 'default'])
    })

    it('waits for a module that awaits at its top level', async () => {
      await file('waits.ts', 'export const A = await Promise.resolve(5)')
      await config.fromFile('waits.ts')
      expect(config.get('A')).to.equal(5)
    })

    it('reads CommonJS modules too', async () => {
      await mkdir(join(root, 'cjs'))
      await file('cjs/package.json', '{ "type": "commonjs" }')
      await file('cjs/set.js', 'module.exports = { A: { deep: 1 } }')
      await config.fromFile('cjs/set.js')
      expect(config.get('A')).to.deep.equal({ deep: 1 })
    })

    it('reads text that begins with a byte order mark', async () => {
      await file('bom.json', '\uFEFF{ "A": 1 }')
      await file('bom.cfg', '\uFEFFB = 1')
      await config.fromFile('bom.json')
      await config.fromFile('bom.cfg')
      expect([config.get('A'), config.get('B')]).to.deep.equal([1, 1])
    })

    it('gives .cfg files the environment of the config', async () => {
      await file('env.cfg', "A = os.environ['ONLY_HERE']")
      config = make({ ONLY_HERE: 'yes' })
      await config.fromFile('env.cfg')
      expect(config.get('A')).to.equal('yes')
    })

    describe('when the file is not there', () => {
      it('names its absolute path, and tells how to make it optional', async () => {
        const error = await rejection(config.fromFile('missing.ts'))
        expect(error.code).to.equal('ZASK_CONFIG_FILE_MISSING')
        expect(error.message).to.contain(join(root, 'missing.ts')).and.contain('{ silent: true }')
        expect(error.details).to.deep.equal({ file: join(root, 'missing.ts') })
      })

      it('is silent where asked to be, for each kind of file', async () => {
        for (const name of ['no.ts', 'no.js', 'no.mjs', 'no.json', 'no.cfg', 'nofolder/no.ts']) {
          expect(await config.fromFile(name, { silent: true }), name).to.equal(false)
        }
        await symlink(join(root, 'nowhere'), join(root, 'dangling.json'))
        expect(await config.fromFile('dangling.json', { silent: true })).to.equal(false)
      })
    })

    describe('silent or not', () => {
      const broken: [name: string, source: string[], expected: string[]][] = [
        ['imports.ts', ["import './not-there.ts'", 'export const A = 1'], ['not-there.ts']],
        ['throws.ts', ['export const A = 1', 'throw new Error("no luck")'], ['at line 2', 'no luck']],
        ['syntax.ts', ['export const A = 1', 'export const B = = 2'], ['at line 2', 'SyntaxError']],
        [
          'syntax.mjs',
          ['export const A = 1', '', 'export const B = = 2'],
          ['at line 3, column 18', 'SyntaxError'],
        ],
        ['enum.ts', ['enum A { X }', 'export { A }'], ['at line 1', 'enum is not supported']],
        ['function.ts', ['export default () => ({ A: 1 })'], ['its default export is a function']],
        ['comma.json', ['{', '  "A": 1,', '}'], ['at line 3, column 1', '"}"']],
        ['word.json', ['{', '  "A": hunter2', '}'], ['at line 2, column 8', '"h"']],
        ['end.json', ['{ "A": [1'], ['at line 1, column 10', 'the end of the file']],
        [
          'missing-comma.json',
          ['{ "A": "x"', '  "B": 1 }'],
          ['at line 2, column 3', 'text that begins here'],
        ],
        ['escape.json', [String.raw`{ "A": "\q" }`], ['at line 1, column 8']],
        ['zero.json', ['{ "A": 01 }'], ['at line 1, column 8']],
        ['twice.json', ['{ "A": 1 }', '{}'], ['at line 2, column 1']],
        ['empty.json', [''], ['at line 1, column 1', 'the end of the file']],
        ['list.json', ['', ' [1]'], ['at line 2, column 2', 'no object']],
        ['null.json', ['null'], ['no object']],
        ['call.cfg', ['A = 1', 'B = f()'], ['at line 2, column 5', 'executed']],
        ['settings.py', ['A = 1'], ['.ts .js .mjs .json .cfg', '.cfg file']],
        ['settings.toml', ['A = 1'], ['".toml"', '.ts .js .mjs .json .cfg']],
        ['settings', ['A = 1'], ['no extension', '.ts .js .mjs .json .cfg']],
      ]
      for (const [name, lines, expected] of broken) {
        it(`refuses ${name}, which holds ${JSON.stringify(lines.join('\n'))}`, async () => {
          const path = await file(name, ...lines)
          for (const silent of [false, true]) {
            const error = await rejection(config.fromFile(name, { silent }))
            expect(error.code).to.equal('ZASK_CONFIG_FILE_INVALID')
            expect(error.message).to.contain(path)
            for (const part of expected) expect(error.message).to.contain(part)
            expect(error.details).to.include({ file: path })
          }
        })
      }

      it('refuses a folder, and text that is not UTF-8', async () => {
        await mkdir(join(root, 'folder.json'))
        expect((await rejection(config.fromFile('folder.json', { silent: true }))).message).to.contain(
          'EISDIR',
        )
        await writeFile(join(root, 'latin.cfg'), Buffer.from("A = 'é'", 'latin1'))
        expect((await rejection(config.fromFile('latin.cfg', { silent: true }))).message).to.contain('UTF-8')
      })

      it('refuses a path that is none, as process.env.UNSET gives', async () => {
        const nothing: { path?: string } = {}
        for (const path of [nothing.path!, '']) {
          expect((await rejection(config.fromFile(path))).code).to.equal('ZASK_OPTION_INVALID')
        }
      })
    })

    it('never quotes the text of a broken file, for it holds secrets', async () => {
      await file('secret.json', '{ "PASSWORD": "hunter2" "A": 1 }')
      await file('secret.ts', 'export const PASSWORD: string = = "hunter2"')
      await file('secret.cfg', 'PASSWORD = "hunter2" "A"')
      await file('secret2.cfg', 'PASSWORD = "hunter2" + "A"')
      for (const name of ['secret.json', 'secret.ts', 'secret2.cfg']) {
        expect(inspect(await rejection(config.fromFile(name))), name).to.not.contain('hunter2')
      }
    })
  })

  describe('fromEnvVar()', () => {
    it('loads the file that the variable names, from root where relative', async () => {
      const path = await file('named.json', '{ "A": 1 }')
      config = make({ CONFIG_PATH: 'named.json', ABSOLUTE: path })
      expect(await config.fromEnvVar('CONFIG_PATH')).to.equal(true)
      expect(await config.fromEnvVar('ABSOLUTE')).to.equal(true)
      expect(config.get('A')).to.equal(1)
      expect(origins(config)['A']).to.equal(path)
    })

    it('of a variable that is unset or empty is an error that tells both ways out, unless silent', async () => {
      config = make({ EMPTY: '' })
      for (const name of ['UNSET', 'EMPTY']) {
        const error = await rejection(config.fromEnvVar(name))
        expect(error.code).to.equal('ZASK_CONFIG_ENV_MISSING')
        expect(error.message).to.contain(name).and.contain('{ silent: true }')
        expect(await config.fromEnvVar(name, { silent: true })).to.equal(false)
      }
    })

    it('of a file that is missing or broken does as fromFile() does', async () => {
      await file('broken-env.json', '{')
      config = make({ MISSING: 'nowhere.json', BROKEN: 'broken-env.json' })
      expect((await rejection(config.fromEnvVar('MISSING'))).code).to.equal('ZASK_CONFIG_FILE_MISSING')
      expect(await config.fromEnvVar('MISSING', { silent: true })).to.equal(false)
      const error = await rejection(config.fromEnvVar('BROKEN', { silent: true }))
      expect(error.code).to.equal('ZASK_CONFIG_FILE_INVALID')
    })
  })
})
