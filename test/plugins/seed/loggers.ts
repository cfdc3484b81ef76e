/** A service with both logs, called once: `node loggers.ts ROOT CONFIG`, the latter JSON. */
import { createCore } from 'zask'
import { accessLog } from 'zask/plugins/access-log'
import { debugLog } from 'zask/plugins/debug-log'

const [root = '', config = '{}'] = process.argv.slice(2)
const core = createCore({ root, plugins: [debugLog(), accessLog()], config: JSON.parse(config) as object })

class MySrv {
  foo(): void {
    core.log.error('said by the service')
  }
}

await core.start(new MySrv(), { bind: 'inproc://seed-loggers', signals: false })
const client = await core.client<MySrv>('inproc://seed-loggers')
await client.foo()
await core.stop()
