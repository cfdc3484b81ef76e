import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createCore } from '../../../core/index.ts'
import { pluginCommands } from '../../../plugins/cli/plugin-commands.ts'
import { type Command, type CommandList, commandsHook } from '../../../plugins/command.ts'
import { type Said, zaskHere } from '../../support/command-line.ts'
import { repository, run, sourceCondition } from '../../support/processes.ts'

const app = `import { createCore, type Plugin } from '${repository}/core/index.ts'
import { type CommandList, commandsHook, Misuse, numberOption } from '${repository}/plugins/command.ts'
import { endpoints } from '${repository}/plugins/endpoints.ts'

const quota = (): Plugin => ({
  name: 'quota',
  apply(core) {
    core.hooks.stopped.tap('quota', () => (globalThis.quotaStopped = (globalThis.quotaStopped ?? 0) + 1))
    core.hooks.custom<CommandList>(commandsHook).tap('quota', (list) =>
      list.add('quota', {
        usage: 'show|reset [key]',
        says: 'show and reset quotas',
        options: { limit: { type: 'string', value: '<n>', says: 'calls a day' } },
        least: 1,
        most: 2,
        async run(line) {
          if (line.words[0] !== 'show') throw new Misuse('Only show is known.')
          line.terminal.write(JSON.stringify([line.words, numberOption(line, 'limit'), line.asJson]) + '\\n')
          return 7
        },
      }),
    )
  },
})
export const core = createCore({ plugins: [endpoints(), quota()] })
core.config.fromObject({
  ZERORPC_USERS: {
    '1.0': 'tcp://127.0.0.1:4301',
    '2.0': ['tcp://127.0.0.1:4302', 'tcp://127.0.0.1:4303'],
    default: '2.0',
    access_key: 'hidden',
  },
  ZERORPC_POSTS: { '1.0': 'tcp://127.0.0.1:4304', client_keys: ['hidden'] },
})
`

describe('commands of plugins', () => {
  let folder: string
  const zask = (...args: string[]): Promise<Said> => zaskHere(...args, '--app', join(folder, 'app.ts'))

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-commands-'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'app.ts'), app)
    await writeFile(join(folder, 'other.ts'), 'export const core = 5\n')
  })

  after(() => rm(folder, { recursive: true, force: true }))

  it('are run with words, options and exit code, and the core is stopped', async () => {
    const [shown, wrong, help] = await Promise.all([
      zask('quota', 'show', 'k', '--limit', '5', '--json'),
      zask('quota', 'reset'),
      zask('quota', '--help'),
    ])
    expect(shown).to.include({ code: 7, stdout: '[["show","k"],5,true]\n', stderr: '' })
    expect(Reflect.get(globalThis, 'quotaStopped')).to.be.at.least(1)
    expect(wrong.code).to.equal(2)
    expect(wrong.stderr).to.match(/^zask: Only show is known/)
    expect(help.stdout).to.match(/^zask quota show\|reset \[key\]: show and reset quotas\n\n +--app <file> /)
  })

  it('stand in the help of an application, under its name', async () => {
    const { stdout, code } = await zask('--help')
    expect(stdout).to.match(
      /^From plugins of \S*app\.ts\n\n {2}zask endpoints .*\n {2}zask quota show\|reset \[key\] /m,
    )
    expect(code).to.equal(0)
  })

  it('are found in an app.ts of the working folder, or where --app says, and nowhere else', async () => {
    const main = join(repository, 'plugins/cli/main.ts')
    const [found, none, noCore] = await Promise.all([
      run(process.execPath, [sourceCondition, main, 'quota', 'show'], { cwd: folder }),
      zaskHere('quota', 'show'),
      zaskHere('quota', 'show', `--app=${join(folder, 'other.ts')}`),
    ])
    expect([found.code, found.stdout]).to.deep.equal([7, '[["show"],null,false]\n'])
    expect(none.stderr).to.match(/no command 'quota'.*with --app app\.ts or ZASK_APP=app\.ts/)
    expect(noCore.stderr).to.match(/other\.ts exports no core/)
    expect([none.code, noCore.code]).to.deep.equal([2, 2])
  })

  it('show the endpoints of the config, and of keys only whether there are any', async () => {
    const [text, machine] = await Promise.all([zask('endpoints'), zask('endpoints', '--json')])
    expect(text.stdout).to.equal(
      [
        'service   version         endpoints                                    key\n',
        'posts     1.0             tcp://127.0.0.1:4304                         wanted\n',
        'users     1.0             tcp://127.0.0.1:4301                         sent\n',
        'users     2.0 (default)   tcp://127.0.0.1:4302, tcp://127.0.0.1:4303   sent\n',
      ].join(''),
    )
    expect(machine.stdout.split('\n').map((line) => line && (JSON.parse(line) as unknown))[2]).to.deep.equal({
      service: 'users',
      version: '2.0',
      endpoints: ['tcp://127.0.0.1:4302', 'tcp://127.0.0.1:4303'],
      default: true,
      sendsKey: true,
      wantsKey: false,
    })
  })
})

describe('the commands that plugins add', () => {
  const command: Command = { usage: '', says: '', options: {}, least: 0, most: 0, run: async () => {} }

  async function refused(...names: [plugin: string, command: string][]): Promise<string> {
    const core = createCore()
    for (const [plugin, name] of names) {
      core.hooks.custom<CommandList>(commandsHook).tap(plugin, (list) => list.add(name, command))
    }
    try {
      await pluginCommands(core, new Set(['call']))
    } catch (error) {
      return (error as Error).message
    }
    throw new Error('nothing was thrown')
  }

  it('must differ in their names, or both plugins are named', async () => {
    expect(await refused(['a', 'db'], ['b', 'db'])).to.equal(
      "plugin b failed in commands: there can be one command 'db', and a and b have one: give one of them another name",
    )
    expect(await refused(['a', 'db'], ['a', 'db'])).to.include('a adds it twice')
  })

  it('cannot take the place of one of zask', async () => {
    expect(await refused(['a', 'call'])).to.include('zask itself and a have one')
  })

  it('must have names that can be typed', async () => {
    expect(await refused(['a', '--db'])).to.include("'--db' is no name for a command")
  })
})
