/** A service with a debug log, called twice: `node app.ts OPTIONS CONFIG`, both JSON. */
import { createCore } from 'zask'
import { debugLog } from 'zask/plugins/debug-log'
import { requestChain } from 'zask/plugins/request-chain'

const [options = '{}', config = '{}'] = process.argv.slice(2)
const core = createCore({
  plugins: [debugLog(JSON.parse(options) as object), requestChain()],
  config: JSON.parse(config) as object,
})

class MySrv {
  static readonly service = 'my_srv'
  foo(): void {
    core.call.log.info({ user: 7 }, 'found %s', 'it')
  }
  fail(): never {
    throw new TypeError('on purpose')
  }
}

await core.start(new MySrv(), { bind: 'inproc://debug-log-app', signals: false })
const client = await core.client<MySrv>('inproc://debug-log-app')
await client.$with({ headers: { access_key: 'hush', user: 'ann', nested: { db_password: 'hush' } } }).foo()
await Promise.resolve(client.fail()).catch(() => undefined)
await core.stop()
