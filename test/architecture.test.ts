import { expect } from 'chai'
import { type Import, type Source, sources } from './support/sources.ts'

/** Who may know whom: docs/architecture.md says why. */
const all = sources()

const place = ({ path }: Source, { line, specifier }: Import): string =>
  `${path}:${line} imports '${specifier}'`

function offending(
  of: (source: Source) => boolean,
  wrong: (found: Import, source: Source) => boolean,
): string[] {
  return all
    .filter(of)
    .flatMap((source) =>
      source.imports.filter((found) => wrong(found, source)).map((found) => place(source, found)),
    )
}

const inCore = ({ path }: Source): boolean => path.startsWith('core/')
const inWire = ({ path }: Source): boolean => path.startsWith('core/wire/')
const inPlugins = ({ path }: Source): boolean => path.startsWith('plugins/')

/** `plugins/headers.ts` and all below `plugins/headers/` are the plugin `headers`. */
function pluginOf(path: string): string | undefined {
  return /^plugins\/([\w-]+)(?:\.ts$|\/)/.exec(path)?.[1]
}

/** Files and folders that hold a plugin; others are parts that several may use. */
const pluginPlaces = new Set(
  all
    .filter(({ path, text }) => path.startsWith('plugins/') && /^ +apply\(core\b/m.test(text))
    .flatMap(({ path }) => pluginOf(path) ?? []),
)

const words = ['service', 'plugin', 'hook', 'config']

describe('the architecture', () => {
  it('is read from import lines that are really there', () => {
    const imports = all.flatMap((source) => source.imports)
    expect(imports.map(({ specifier }) => specifier)).to.include.members([
      'tapable',
      'zeromq',
      'acorn',
      './errors.ts',
    ])
    expect(
      imports.filter(({ target }) => target !== undefined && !all.some(({ path }) => path === target)),
    ).to.deep.equal([])
  })

  it('1. core never imports a plugin', () => {
    expect(
      offending(
        inCore,
        ({ target, specifier }) => specifier.startsWith('zask') || target?.startsWith('plugins/') === true,
      ),
    ).to.deep.equal([])
  })

  it('1. core never names a plugin', () => {
    const names = all.filter(inPlugins).flatMap(({ path, text }) => {
      const named = [...text.matchAll(/^ {4}name: '([\w-]+)'/gm)].map((match) => match[1] as string)
      return pluginOf(path) === undefined ? [] : named
    })
    expect(names).to.include.members(['endpoints', 'headers', 'request-chain'])
    const naming = all.filter(inCore).flatMap(({ path, text }) => {
      // What error messages and comments give as an example of a list is no knowledge of it.
      const code = text.replace(/^\s*(\/\/|\/?\*).*$/gm, '')
      return names
        .filter((name) => new RegExp(`(?<![\\w.])'${name}'`).test(code))
        .map((name) => `${path} names '${name}'`)
    })
    expect(naming.filter((one) => !allowedNames.has(one))).to.deep.equal([])
  })

  it('1. built-in plugins import only core/index.ts of the core: what they can do, a stranger can do', () => {
    expect(
      offending(
        inPlugins,
        ({ target }) => target?.startsWith('core/') === true && target !== 'core/index.ts',
      ),
    ).to.deep.equal([])
  })

  it('2. core/wire imports only itself and core/errors.ts', () => {
    expect(
      offending(
        inWire,
        ({ target }) =>
          target !== undefined && !target.startsWith('core/wire/') && target !== 'core/errors.ts',
      ),
    ).to.deep.equal([])
  })

  for (const word of words) {
    it(`2. the word ${word} does not occur in core/wire`, () => {
      const saying = all
        .filter(inWire)
        .flatMap(({ path, text }) =>
          text
            .split('\n')
            .flatMap((line, index) =>
              new RegExp(`(?<![a-z])${word}s?(?![a-z])`, 'i').test(line)
                ? [`${path}:${index + 1}: ${line.trim()}`]
                : [],
            ),
        )
      expect(saying).to.deep.equal([])
    })
  }

  const homes: [name: string, pattern: RegExp, home: RegExp][] = [
    ['tapable', /^tapable$/, /^core\/hooks\.ts$/],
    ['zeromq', /^zeromq$/, /^core\/wire\/socket\.ts$/],
    ['msgpack', /^@msgpack\//, /^core\/wire\/msgpack\.ts$/],
    ['the ORM', /^@mikro-orm\//, /^plugins\/mikro-orm[./]/],
  ]
  for (const [name, pattern, home] of homes) {
    it(`3. ${name} is imported only in ${String(home)}`, () => {
      expect(
        offending(
          ({ path }) => !home.test(path),
          ({ specifier }) => pattern.test(specifier),
        ),
      ).to.deep.equal([])
    })
  }

  it('4. there is no mutable state at the top level of a module', () => {
    const state = all.flatMap(({ path, text }) => {
      const variables = [...text.matchAll(/^(?:export )?(?:let|var) (\w+)/gm)].map((match) => match[1])
      const containers = [...text.matchAll(/^(?:export )?const (\w+)[^=\n]*= (?:new (?:Map|Set)\b|\[|\{)/gm)]
        .map((match) => match[1] as string)
        // Tables that nobody writes to are no state. (A WeakMap keeps nothing but what its keys keep.)
        .filter((name) =>
          new RegExp(
            `\\b${name}(\\.(set|add|delete|clear|push|pop|shift|unshift|splice)\\(|\\[[^\\]]*\\] \\??\\??=[^=])`,
          ).test(text),
        )
      return [...variables, ...containers].map((name) => `${path}: ${name}`)
    })
    expect(state).to.deep.equal([])
  })

  it('4. no plugin imports another plugin', () => {
    // The list of the original is a list of plugins.
    const listed = offending(
      (source) => inPlugins(source) && source.path !== 'plugins/index.ts',
      ({ target }, { path }) =>
        target !== undefined &&
        pluginPlaces.has(pluginOf(target) ?? '') &&
        pluginOf(target) !== pluginOf(path),
    )
    expect(pluginPlaces).to.include.all.keys('endpoints', 'headers', 'request-chain')
    expect(listed).to.deep.equal([])
  })
})

/** Words that are the name of a plugin and something else, too. */
const allowedNames: ReadonlySet<string> = new Set([
  "core/core.ts names 'headers'",
  "core/start-options.ts names 'headers'",
])
