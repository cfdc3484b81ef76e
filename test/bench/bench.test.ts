import { expect } from 'chai'
import { runBench } from './bench.ts'
import { parseOptions } from './options.ts'
import { systems, type System } from './system.ts'

/** A system whose adapter is the given source text. */
function systemOf(name: string, source: string): System {
  return { name, module: `data:text/javascript,${encodeURIComponent(source)}`, options: {}, isPeer: false }
}

interface Ran {
  code: number
  printed: string
  said: string
}

async function run(...chosen: System[]): Promise<Ran> {
  const options = parseOptions(['--json', '--rounds', '1', '--seconds', '0.02'])
  if (options === 'help') throw new Error('The options are for a run.')
  const texts = { printed: '', said: '' }
  const code = await runBench({ ...options, systems: chosen }, new AbortController().signal, {
    print: (text) => (texts.printed += text),
    say: (line) => (texts.said += `${line}\n`),
  })
  return { code, ...texts }
}

const rawZeromq: System = systems.find(({ name }) => name === 'raw-zeromq')!
const serve = 'export const serve = async () => ({ address: "", stop: async () => {} });'

describe('a system that cannot be measured', function () {
  this.timeout(60_000)

  it('is left out by name and with its reason, while the others are measured', async () => {
    const broken = systemOf('broken', 'export const serve = async () => { throw new Error("no such luck") }')
    const { code, printed, said } = await run(broken, rawZeromq)
    expect(code).to.equal(1)
    expect(said).to.include('left out: broken: no such luck')
    const results: { system: string }[] = JSON.parse(printed)
    expect(new Set(results.map(({ system }) => system))).to.deep.equal(new Set(['raw-zeromq']))
  })

  it('is left out when its echo is not what was sent', async () => {
    const liar = systemOf('liar', `${serve} export const connect = async () => ({ echo: async () => 7 })`)
    const { code, printed, said } = await run(liar)
    expect({ code, printed }).to.deep.equal({ code: 1, printed: '[]\n' })
    expect(said).to.include('left out: liar: The echo of small-integer is not what was sent: 7')
  })

  it('is left out when its process dies, with what the process said last', async () => {
    const source = `${serve} export const connect = async () => { console.error("out of luck"); process.exit(9) }`
    const { code, said } = await run(systemOf('mortal', source))
    expect(code).to.equal(1)
    expect(said).to.include(
      'left out: mortal: The mortal client process ended with code 9. It said: out of luck',
    )
  })

  it('is left out with all its results when it fails under load', async () => {
    const source = `${serve} let calls = 0; const echo = async (value) => {
      if (++calls > 5000) throw new Error("worn out"); await new Promise(setImmediate); return value }
      export const connect = async () => ({ echo, stop: async () => {} })`
    const { code, printed, said } = await run(systemOf('weary', source))
    expect({ code, printed }).to.deep.equal({ code: 1, printed: '[]\n' })
    expect(said).to.include('left out: weary: worn out')
  })
})
