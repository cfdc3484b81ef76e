import { createCore } from 'zask'

/** A service in a process of its own: prints its endpoint, then serves until it is killed. */
class Sleeper {
  echo(value: unknown): unknown {
    return value
  }

  /** Never answers. */
  sleep(): Promise<never> {
    return new Promise(() => undefined)
  }

  /** One item, then silence. */
  async *drip(): AsyncGenerator<number> {
    yield 1
    await this.sleep()
  }
}

const [bind = 'tcp://127.0.0.1:*'] = process.argv.slice(2)
const { endpoints } = await createCore().start(new Sleeper(), { bind, signals: false })
console.log(endpoints[0])
