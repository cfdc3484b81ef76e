import { createCore, type Plugin } from '../../core/index.ts'

/** An application with one plugin that fails in the place it is told, called once and then ended by SIGTERM. */
const { where } = JSON.parse(process.argv[2] ?? '{}') as { where: string }

const fail = (): never => {
  throw new Error('on purpose')
}

const clumsy: Plugin = {
  name: 'clumsy',
  apply({ hooks }) {
    if (where === 'apply') fail()
    // Observers fail after they have waited for something, gates at once.
    const late = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve))
      fail()
    }
    if (where === 'configLoaded') hooks.configLoaded.tap('clumsy', fail)
    if (where === 'resolveEndpoint') hooks.resolveEndpoint.tap('clumsy', fail)
    if (where === 'beforeCall') {
      hooks.beforeCall.tap('clumsy', ({ side }) => (side === 'server' ? late() : undefined))
    }
    if (where === 'afterCall') hooks.afterCall.tap('clumsy', late)
    if (where === 'sessionEnd') hooks.sessionEnd.tap('clumsy', late)
    if (where === 'started') hooks.started.tap('clumsy', late)
    if (where === 'stopping') hooks.stopping.tap('clumsy', late)
    if (where === 'stopped') hooks.stopped.tap('clumsy', late)
  },
}

class Here {
  static readonly service = 'here'
  static readonly version = '1.0'

  where(): string {
    return 'here'
  }
}

const core = createCore({ plugins: [clumsy] })
// Only where the plugin is to be asked for the endpoint is there none given.
const bind = where === 'resolveEndpoint' ? {} : { bind: 'tcp://127.0.0.1:*' }
const { endpoints } = await core.start(new Here(), bind)
const here = await core.client<Here>(endpoints)
const answered = await here.where().then(String, String)
process.stdout.write(`${JSON.stringify({ answered })}\n`)
process.on('exit', () => process.stdout.write(`${JSON.stringify({ stats: core.stats })}\n`))
process.kill(process.pid, 'SIGTERM')
