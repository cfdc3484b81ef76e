import { RemoteError } from 'zask'
import { core } from './caller.ts'
import type { Posts } from './posts.ts'
import type { Users } from './users.ts'

const users = await core.client<Users>('users')
const posts = await core.client<Posts>('posts')

console.log(await users.profile(2))
for await (const { id, title, author } of posts.feed()) console.log(`${id}. ${title}, by ${author}`)

try {
  const guest = users.$with({ headers: { access_key: 'key-of-a-guest' } })
  for (;;) await guest.name(1)
} catch (error) {
  if (!(error instanceof RemoteError)) throw error
  console.log(`${error.code}: ${error.message}`)
}
await core.stop()
