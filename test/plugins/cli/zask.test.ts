import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'acorn'
import { expect } from 'chai'
import manifest from '../../../package.json' with { type: 'json' }
import { repository, run, sourceCondition } from '../../support/processes.ts'

const script = join(repository, 'plugins/cli/zask.cts')

describe('the program that npx zask runs', () => {
  it('runs the command line', async () => {
    const { stdout, code } = await run(process.execPath, [sourceCondition, script, '--version'])
    expect([stdout, code]).to.deep.equal([`${manifest.version}\n`, 0])
  })

  it('says in one line that Node is too old, and ends with 1', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zask-old-'))
    try {
      const fake = join(folder, 'fake.cjs')
      const versions = '{ ...process.versions, node: "22.17.1" }'
      await writeFile(fake, `Object.defineProperty(process, 'versions', { value: ${versions} })\n`)
      const { code, output } = await run(process.execPath, ['--require', fake, script, 'call'])
      expect(output).to.match(/^zask: Node\.js 22\.17\.1 is too old: .*\n$/)
      expect(code).to.equal(1)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('says what to do where ZeroMQ does not load', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zask-native-'))
    try {
      const fake = join(folder, 'fake.cjs')
      const resolve =
        "resolve(name, context, next) { if (name === 'zeromq') throw new Error('no zeromq for it'); return next(name, context) }"
      await writeFile(fake, `require('node:module').registerHooks({ ${resolve} })\n`)
      const { code, stderr } = await run(process.execPath, [
        '--require',
        fake,
        sourceCondition,
        script,
        'doctor',
      ])
      expect(stderr).to.match(/Error: no zeromq for it[\s\S]*Run npm rebuild zeromq,\n.*\n$/)
      expect(code).to.equal(1)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('parses in Nodes that are long gone, and wants the one that package.json does', async () => {
    const text = await readFile(script, 'utf8')
    // Everything but import() is of ES5.
    expect(() =>
      parse(text.replace('import(', 'load('), { ecmaVersion: 5, allowHashBang: true }),
    ).not.to.throw()
    const least = manifest.engines.node.replace('>=', '')
    expect(text).to.include(`runs on ${least} and newer`)
    expect(text).to.include(`major === ${least.split('.')[0]} && Number(parts[1]) >= ${least.split('.')[1]}`)
    expect(manifest.bin.zask).to.equal('dist/plugins/cli/zask.cjs')
  })
})
