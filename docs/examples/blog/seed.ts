import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { core, db } from './app.ts'
import { Post, User } from './entities.ts'

/** Makes the folder, the tables and a few rows, where they are missing. */
export async function seed(): Promise<void> {
  await mkdir(dirname(resolve(core.root, core.config.ZERORPC_ACCESS_LOG)), { recursive: true })
  await db.createAll()
  await db.run(async () => {
    if ((await db.query(User).count()) > 0) return
    await db.em('users').insertMany(User, [{ name: 'ann' }, { name: 'bob' }])
    await db.em('posts').insertMany(Post, [
      { userId: 1, title: 'First post', text: 'It works.' },
      { userId: 2, title: 'Second post', text: 'Still.' },
    ])
  })
}
