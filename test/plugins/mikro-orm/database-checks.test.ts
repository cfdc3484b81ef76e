import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createCore } from '../../../core/index.ts'
import { checkPlugins } from '../../../plugins/cli/doctor.ts'
import { mikroOrm } from '../../../plugins/mikro-orm.ts'

describe('the checks of databases for zask doctor', () => {
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-checks-'))
  })

  after(() => rm(folder, { recursive: true, force: true }))

  it('say of each bind whether it answers, without its password, and make no file', async () => {
    await writeFile(join(folder, 'text.db'), 'this is no database, but a text of some length\n'.repeat(20))
    await using core = createCore({
      root: folder,
      plugins: [mikroOrm({ entities: [] })],
      config: {
        DATABASE_URI: 'sqlite://',
        DATABASE_BINDS: {
          new: 'sqlite:///new.db',
          nowhere: 'sqlite:///no/where.db',
          text: 'sqlite:///text.db',
          host: 'postgresql://me:hidden@127.0.0.1:1/x',
        },
      },
    })
    const found = await checkPlugins(core)
    expect(found.map(({ state, says }) => [state, says.replaceAll(folder, '')])).to.deep.equal([
      ['ok', 'database default: sqlite:// answers'],
      ['ok', 'database new: /new.db is not there yet, and can be made'],
      ['problem', 'database nowhere: the folder /no is not there, or cannot be written'],
      ['problem', 'database text: sqlite:////text.db does not answer: file is not a database'],
      [
        'problem',
        'database host: postgresql://me:***@127.0.0.1:1/x does not answer: connect ECONNREFUSED 127.0.0.1:1',
      ],
    ])
    expect(await readdir(folder)).to.deep.equal(['text.db'])
  })

  it('say what is wrong with a URI', async () => {
    await using core = createCore({
      plugins: [mikroOrm({ entities: [] })],
      config: { DATABASE_URI: 'oracle://x' },
    })
    const [found] = await checkPlugins(core)
    expect(found).to.include({ state: 'problem' })
    expect(found?.says).to.match(/^a check of plugin mikro-orm failed: .*oracle:\/\//)
  })
})
