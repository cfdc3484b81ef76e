import { createCore } from 'zask'
import { Hello } from './hello.ts'

const core = createCore()
const { endpoints } = await core.start(new Hello(), { bind: process.argv[2] ?? 'tcp://127.0.0.1:4242' })
const [endpoint] = endpoints

console.log(`hello is at ${endpoint}. Call it from another terminal:

  npm run -s zask -- inspect ${endpoint}
  npm run -s zask -- call ${endpoint} hello World
  npx node --conditions=zask-source docs/examples/hello/client.ts ${endpoint}

and, where Python has zerorpc:

  python3 -c "import zerorpc; print(zerorpc.Client('${endpoint}').hello('World'))"

Ctrl-C stops it.`)
