/** Serves and makes so many calls, each with a line in a shared file: `node served.ts PATH NAME CALLS`. */
import { accessLog } from 'zask/plugins/access-log'
import { testCore } from 'zask/testing'

const [path = '', name = '', calls = '0'] = process.argv.slice(2)

class Counter {
  static readonly service = 'counter'
  count(number: number): number {
    return number
  }
}

const log = accessLog()
const config = { DEBUG: false, ZERORPC_ACCESS_LOG: path }
const tested = await testCore({ services: [new Counter()], plugins: [log], config })
let made = 0
const caller = async (): Promise<void> => {
  while (made < Number(calls)) {
    const number = made++
    await tested.client.$with({ headers: { access_key: `${name}-${number}` } }).count(number)
  }
}
await Promise.all(Array.from({ length: 64 }, caller))
await tested.stop()
console.log(log.lost)
