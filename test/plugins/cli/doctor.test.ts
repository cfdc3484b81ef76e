import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Config, createCore } from '../../../core/index.ts'
import { checkEndpoints, checkFiles, checkHeartbeats, checkMachine } from '../../../plugins/cli/checks.ts'
import { checkPlugins } from '../../../plugins/cli/doctor.ts'
import { type CheckList, checksHook } from '../../../plugins/command.ts'
import { repository, run, sourceCondition } from '../../support/processes.ts'

function configOf(values: object): Config {
  const config = new Config()
  config.fromObject(values)
  return config
}

const zask = (...args: string[]): ReturnType<typeof run> =>
  run(process.execPath, [sourceCondition, 'plugins/cli/main.ts', 'doctor', ...args])

describe('zask doctor', () => {
  it('says that Node is too old, or that it is new enough and ZeroMQ works', async () => {
    const [old, native] = await checkMachine('22.17.1')
    expect(old).to.include({ state: 'problem', says: 'Node.js 22.17.1 is too old' })
    expect(native).to.include({ state: 'ok' })
    expect((await checkMachine('24.0.0'))[0]).to.include({ state: 'ok' })
  })

  it('finds two services on one endpoint, a default without endpoint, and a missing key', () => {
    const config = configOf({
      ZERORPC_A: { '1.0': 'tcp://127.0.0.1:1', '2.0': ['tcp://127.0.0.1:2'], default: '3.0' },
      ZERORPC_B: { '1.0': 'tcp://127.0.0.1:2', client_keys: ['k'] },
      ZERORPC_C: { '1.0': 'tcp://127.0.0.1:3', default: '1.0', client_keys: ['k'], access_key: 'k' },
    })
    expect(checkEndpoints(config, []).map(({ state, says }) => [state, says])).to.deep.equal([
      ['problem', 'ZERORPC_A: the default version 3.0 has no endpoint'],
      ['warning', 'ZERORPC_B: has no access_key'],
      ['problem', 'ZERORPC_A 2.0 and ZERORPC_B 1.0 share tcp://127.0.0.1:2'],
      ['ok', 'ZERORPC_C: versions 1.0'],
    ])
  })

  it('finds a service whose version is not in the config', () => {
    class Users {
      static readonly service = 'users'
      static readonly version: string = '2.0'
      one(): number {
        return 1
      }
    }
    const config = configOf({ ZERORPC_USERS: { '1.0': 'tcp://127.0.0.1:1' } })
    expect(checkEndpoints(config, [new Users()]).at(-1)).to.deep.equal({
      state: 'problem',
      says: 'users: version 2.0 is not in ZERORPC_USERS',
      fix: "Add '2.0' and its endpoint to ZERORPC_USERS.",
    })
    expect(checkEndpoints(new Config(), [new Users()]).at(-1)).to.include({ state: 'warning' })
  })

  it('finds a log file that cannot be written', async () => {
    const [log] = await checkFiles(configOf({ ERROR_LOG: '/nowhere/at/all.log' }))
    expect(log).to.include({ state: 'problem', says: 'ERROR_LOG: /nowhere/at/all.log cannot be written' })
  })

  it('finds a service that runs without heartbeats, which callers by zerorpc expect', async () => {
    await using core = createCore({ config: { DEBUG: false } })
    const started: (string | undefined)[] = []
    for (const heartbeat of [null, { intervalMs: 5000 }]) {
      const options = { bind: 'tcp://127.0.0.1:*', heartbeat, signals: false } as const
      started.push((await core.start({ one: () => 1 }, options)).endpoints[0])
    }
    const [without, beating] = started as [string, string]
    const config = configOf({
      ZERORPC_A: {
        '1.0': without,
        '2.0': [beating.replace('127.0.0.1', '*'), 'ipc:///tmp/nobody-is-here.sock'],
      },
    })
    const found = await checkHeartbeats(config, 500)
    expect(found.map(({ state, says }) => [state, says.split(':')[3]])).to.deep.equal([
      ['warning', `${without.split(':')[2]} answers, and sends no heartbeats`],
      ['ok', `${beating.split(':')[2]} answers`],
    ])
  })

  it('runs the checks of plugins, and takes one that fails for a problem of its plugin', async () => {
    const core = createCore()
    const hook = core.hooks.custom<CheckList>(checksHook)
    hook.tap('a', (list) => {
      list.add(() => Promise.reject(new Error('no idea')))
      list.add(() => [{ state: 'ok', says: 'one' }])
    })
    hook.tap('b', (list) => list.add(async () => [{ state: 'warning', says: 'two', fix: 'three' }]))
    expect(await checkPlugins(core)).to.deep.equal([
      { state: 'problem', says: 'a check of plugin a failed: no idea' },
      { state: 'ok', says: 'one' },
      { state: 'warning', says: 'two', fix: 'three' },
    ])
    hook.tap('c', () => {
      throw new Error('at once')
    })
    expect(await checkPlugins(core)).to.deep.equal([
      { state: 'problem', says: 'plugin c failed in checks: at once' },
    ])
  })

  it('prints what it found with the fix, and ends with 1 where there is a problem', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zask-doctor-'))
    try {
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
      const text = `import { createCore } from '${repository}/core/index.ts'\nexport const core = createCore()\n`
      await writeFile(join(folder, 'app.ts'), text)
      const bad = "core.config.fromObject({ ZERORPC_A: { '1.0': 'tcp://127.0.0.1:1', default: '2.0' } })\n"
      await writeFile(join(folder, 'bad.ts'), text + bad)
      const [good, wrong] = await Promise.all([
        zask(join(folder, 'app.ts')),
        zask(join(folder, 'bad.ts'), '--json'),
      ])
      expect(good.stdout).to.match(
        /^ok +Node\.js .*\nok +ZeroMQ loads.*\nok .*app\.ts loads, with 0 services\n/,
      )
      const lines = wrong.stdout
        .trim()
        .split('\n')
        .map((line): unknown => JSON.parse(line))
      expect(lines).to.deep.include({
        state: 'problem',
        says: 'ZERORPC_A: the default version 2.0 has no endpoint',
        fix: "Add '2.0' to ZERORPC_A.",
      })
      expect([good.code, wrong.code]).to.deep.equal([0, 1])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
