import { createCore } from 'zask'
import type { Hello } from './hello.ts'

const core = createCore()
const hello = await core.client<Hello>(process.argv[2] ?? 'tcp://127.0.0.1:4242')

console.log(await hello.hello('World'))
for await (const left of hello.countdown(3)) console.log(left)

await core.stop()
