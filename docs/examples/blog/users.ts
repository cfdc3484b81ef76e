import { type Client, ZaskError } from 'zask'
import { core, db } from './app.ts'
import { User } from './entities.ts'
import type { Posts } from './posts.ts'

export interface Profile {
  name: string
  posts: number
}

export class Users {
  static readonly service = 'users'
  static readonly version = '1.0'

  /** One client for all calls: it is made to be shared. */
  #posts: Promise<Client<Posts>> | undefined

  /** The name of a user. */
  async name(id: number): Promise<string> {
    const user = await db.query(User).get(id)
    if (user === null) throw new ZaskError('USER_UNKNOWN', `There is no user ${id}.`)
    return user.name
  }

  /** A user, and how many posts there are of them: the other service knows. */
  async profile(id: number): Promise<Profile> {
    const posts = await (this.#posts ??= core.client<Posts>('posts'))
    const [name, count] = await Promise.all([this.name(id), posts.countOf(id)])
    return { name, posts: count }
  }
}
