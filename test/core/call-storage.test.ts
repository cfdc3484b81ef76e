import { expect } from 'chai'
import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { CallStorage } from '../../core/call-storage.ts'
import type { Call } from '../../core/call.ts'

const run = promisify(execFile)

const named = (id: string): Call => ({ id }) as Call

describe('the current call', () => {
  it('is the one it runs for, below it and in all that is waited for there, and none outside', async () => {
    const storage = new CallStorage()
    const seen: (string | undefined)[] = []
    const look = (): void => void seen.push(storage.getStore()?.id)
    const waiting: Promise<void>[] = []
    const work = async (ms: number): Promise<void> => {
      look()
      await sleep(ms)
      look()
    }
    look()
    storage.run(named('a'), (ms: number) => void waiting.push(work(ms)), 5)
    look()
    storage.run(named('b'), (ms: number) => void waiting.push(work(ms)), 30)
    await Promise.all(waiting)
    look()
    expect(seen).to.deep.equal([undefined, 'a', undefined, 'b', 'a', 'b', undefined])
  })

  it('is that of before again where one has run within another, also where it has thrown', () => {
    const storage = new CallStorage()
    const seen: (string | undefined)[] = []
    const look = (): void => void seen.push(storage.getStore()?.id)
    const outer = (): void => {
      storage.run(named('inner'), look, undefined)
      look()
      expect(() =>
        storage.run(
          named('failing'),
          () => {
            look()
            throw new Error('meant')
          },
          undefined,
        ),
      ).to.throw('meant')
      look()
      storage.run(undefined, look, undefined)
      look()
    }
    storage.run(named('outer'), outer, undefined)
    look()
    expect(seen).to.deep.equal(['inner', 'outer', 'failing', 'outer', undefined, 'outer', undefined])
  })

  it('leaves nothing of what its code entered into other storages to the next', () => {
    const tenant = new AsyncLocalStorage<string>()
    const storage = new CallStorage()
    const seen: (string | undefined)[] = []
    const work = (name: string): void => {
      seen.push(tenant.getStore())
      tenant.enterWith(name)
      seen.push(tenant.getStore())
    }
    storage.run(named('a'), work, 'of a')
    storage.run(named('b'), work, 'of b')
    seen.push(tenant.getStore())
    expect(seen).to.deep.equal([undefined, 'of a', undefined, 'of b', undefined])
  })

  it('is that of before again under a Node.js whose scopes keep what was entered in them', async () => {
    const path = new URL('../../core/call-storage.ts', import.meta.url)
    const program = `
      import { CallStorage } from ${JSON.stringify(path.href)}
      const storage = new CallStorage()
      const look = () => console.log(storage.getStore()?.id)
      storage.run({ id: 'outer' }, () => (storage.run({ id: 'inner' }, look), look(), setTimeout(look)))
      look()`
    // The way of Node.js 22, which 24 has still.
    const args = ['--no-async-context-frame', '--input-type=module', '-e', program]
    const { stdout } = await run(process.execPath, args)
    expect(stdout.split('\n')).to.deep.equal(['inner', 'outer', 'undefined', 'outer', ''])
  })
})
