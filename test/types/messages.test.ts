import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'

const repository = join(import.meta.dirname, '../..')
const imports = `
import { createCore } from '${repository}/core/index.ts'
import { audit, database, headers, numericKeys, requestChain, timing } from '${repository}/test/types/listed-plugins.ts'
import { Users } from '${repository}/test/types/clients.ts'
`

/** What a user may write, and the sentence the compiler must answer with. */
const mistakes: readonly { title: string; code: string; sentence: string }[] = [
  {
    title: 'a plugin without the one it needs',
    code: 'createCore({ plugins: [timing(), requestChain()] })',
    sentence: `is not assignable to type '"an earlier plugin must add: accessKey"'.`,
  },
  {
    title: 'a plugin before the one it needs',
    code: 'createCore({ plugins: [requestChain(), headers()] })',
    sentence: `is not assignable to type '"an earlier plugin must add: accessKey (a later one does: put that one first)"'.`,
  },
  {
    title: 'a plugin that finds another type than it needs',
    code: 'createCore({ plugins: [numericKeys(), requestChain()] })',
    sentence: `is not assignable to type '"an earlier plugin adds with another type: accessKey"'.`,
  },
  {
    title: 'a plugin with two needs of which one is met',
    code: 'createCore({ plugins: [headers(), audit()] })',
    sentence: `is not assignable to type '"an earlier plugin must add: requestId"'.`,
  },
  {
    title: 'a factory that was not called',
    code: 'createCore({ plugins: [headers] })',
    sentence: `is not assignable to type '"a plugin is what its factory returns: call it"'.`,
  },
  {
    title: 'a property of the call that no plugin adds',
    code: 'void createCore({ plugins: [timing()] }).call.accessKey',
    sentence: `Property 'accessKey' does not exist on type 'Call'.`,
  },
  {
    title: 'a config key that nobody owns',
    code: 'createCore({ plugins: [timing()], config: { DATABASE_URI: "" } })',
    sentence: `Object literal may only specify known properties, and 'DATABASE_URI' does not exist in type 'Partial<CoreConfig>'.`,
  },
  {
    title: 'a config value of the wrong type',
    code: 'createCore({ plugins: [database()], config: { DATABASE_URI: 5 } })',
    sentence: `Type 'number' is not assignable to type 'string'.`,
  },
  {
    title: 'a misspelt hook',
    code: `createCore().hooks.beforeCal.tap('a', () => {})`,
    sentence: `Did you mean 'beforeCall'?`,
  },
  {
    title: 'a callback-style tap',
    code: `createCore().hooks.beforeCall.tapAsync('a', () => {})`,
    sentence: `Property 'tapAsync' does not exist on type 'Taps<`,
  },
  {
    title: 'a misspelt method of a service',
    code: `void (async () => (await createCore().client<Users>('users')).cuont())()`,
    sentence: `Did you mean 'count'?`,
  },
  {
    title: 'an argument of the wrong type',
    code: `void (async () => (await createCore().client<Users>('users')).name('1'))()`,
    sentence: `Argument of type 'string' is not assignable to parameter of type 'number'.`,
  },
]

/** Runs the compiler once over all snippets; resolves to the text printed for each. */
async function compile(folder: string, snippets: readonly string[]): Promise<string[]> {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  const config = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: {
      rootDir: '/',
      typeRoots: [join(repository, 'node_modules/@types')],
      types: ['node'],
      // A user's project: as strict as this one, without its rules for publishing.
      noUnusedLocals: false,
      declaration: false,
      declarationMap: false,
      isolatedDeclarations: false,
      rewriteRelativeImportExtensions: false,
    },
    include: ['*.ts'],
    exclude: [],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  await Promise.all(
    snippets.map((code, index) => writeFile(join(folder, `snippet-${index}.ts`), imports + code)),
  )
  const printed = await new Promise<string>((resolve, reject) => {
    const args = [tsc, '-p', folder, '--noErrorTruncation', '--pretty', 'false']
    execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) => {
      // The exit code 1 or 2 is the compiler's answer to mistakes; anything else is a failure to run it.
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve(stdout + stderr)
    })
  })
  // A message begins with its file at the left margin; what belongs to it is indented.
  const messages = printed.split(/^(?=\S)/m)
  const stray = messages.filter((message) => message.trim() !== '' && !/^snippet-\d+\.ts\(/.test(message))
  expect(stray, 'messages about other files').to.deep.equal([])
  return snippets.map((_, index) => messages.filter((one) => one.startsWith(`snippet-${index}.ts(`)).join(''))
}

describe('what the compiler says of', () => {
  let folder: string
  let messages: string[]

  before(async function () {
    this.timeout(60_000)
    folder = await mkdtemp(join(tmpdir(), 'zask-messages-'))
    messages = await compile(folder, [
      ...mistakes.map(({ code }) => code),
      'createCore({ plugins: [headers()] })',
    ])
  })

  after(() => rm(folder, { recursive: true, force: true }))

  for (const [index, { title, sentence }] of mistakes.entries()) {
    it(`${title} is one message with a readable sentence`, () => {
      expect(messages[index]).to.include(sentence)
      expect(messages[index]!.match(/^snippet/gm)).to.have.length(1)
    })
  }

  it('a sound setup is nothing', () => {
    expect(messages.at(-1)).to.equal('')
  })
})
