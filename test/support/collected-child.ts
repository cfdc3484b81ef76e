import { createCore } from '../../core/index.ts'
import { collectGarbage } from './garbage.ts'

/**
 * Makes calls until the compiler has done with them, and has the garbage collected while there is none. To be run with
 * `--trace-deopt`, which prints whose code that took.
 */
class Echo {
  echo(value: unknown): unknown {
    return value
  }

  *count(to: number): Generator<number> {
    for (let item = 1; item <= to; item++) yield item
  }
}

/** Lives only while it is in use: its code goes with it. */
class Passing {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

function readPassing(passing: Passing): number {
  return passing.value
}

function passOn(): number {
  let sum = 0
  for (let index = 0; index < 1_000_000; index++) sum += readPassing(new Passing(index))
  return sum
}

const core = createCore()
for (const name of ['first', 'second']) core.hooks.beforeCall.tap(name, () => undefined)
const { endpoints } = await core.start(new Echo(), { bind: 'tcp://127.0.0.1:*', signals: false })
const client = await core.client<Echo>(endpoints[0]!)
const echo = async (): Promise<void> => {
  for (let index = 0; index < 1_500; index++) await client.echo(index)
}
await Promise.all(Array.from({ length: 32 }, echo))
for (let stream = 0; stream < 20; stream++) for await (const item of client.count(2_500)) void item
for (let turn = 0; turn < 5; turn++) passOn()
// The last call is out of everybody's hands a turn of the event loop later.
await new Promise((resolve) => setTimeout(resolve, 50))
collectGarbage()
await core.stop()
