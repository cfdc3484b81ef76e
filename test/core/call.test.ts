import { expect } from 'chai'
import { LiveCall } from '../../core/call.ts'
import { createLogger } from '../../core/logger.ts'

class BareCall extends LiveCall {
  readonly side = 'server'
  readonly peer = undefined
  readonly parent = undefined
  readonly over = false
  onTimer(): void {}
}

function call(): { made: BareCall; lines: string[] } {
  const lines: string[] = []
  let ids = 0
  const logger = createLogger({ write: (line) => void lines.push(line) })
  const origin = { log: () => logger, nextId: () => `id-${++ids}` }
  return { made: new BareCall(origin, 'users', '1.0', 'name', [1], {}, performance.now()), lines }
}

describe('a call', () => {
  it('has an id and a logger from when they are first asked for, and keeps them', () => {
    const { made, lines } = call()
    expect([made.id, made.id]).deep.equal(['id-1', 'id-1'])
    expect(made.log).equal(made.log)
    made.log.warn('seen')
    expect(lines[0]).include('seen service=users method=name call=id-1')
  })

  it('has all the time where it has no deadline, and never less than none', () => {
    const { made } = call()
    expect([made.remainingMs(), made.deadline]).deep.equal([Infinity, undefined])
    made.expireAfter(1000)
    expect(made.remainingMs()).within(1, 1000)
    made.expireAfter(-1000)
    expect(made.remainingMs()).equal(0)
  })

  it('aborts its signal once, with the first reason, also when the signal is asked for afterwards', () => {
    const [early, late] = [call().made, call().made]
    let events = 0
    early.signal.addEventListener('abort', () => events++)
    for (const made of [early, late]) {
      made.abort('first')
      made.abort('second')
      expect(made.signal).include({ aborted: true, reason: 'first' })
      expect(made.signal).equal(made.signal)
    }
    expect(events).equal(1)
  })

  it('tells what was registered, once, and at once what registers later', () => {
    const { made } = call()
    const told: unknown[] = []
    const teller = (name: string) => ({ onParentAbort: (reason: unknown) => void told.push([name, reason]) })
    const removed = teller('removed')
    made.addDependent(teller('early'))
    made.addDependent(removed)
    made.removeDependent(removed)
    made.abort('gone')
    made.abort('again')
    made.addDependent(teller('late'))
    expect(told).deep.equal([
      ['early', 'gone'],
      ['late', 'gone'],
    ])
  })
})
