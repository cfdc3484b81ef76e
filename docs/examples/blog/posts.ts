import type { Client } from 'zask'
import { core, db } from './app.ts'
import { Post } from './entities.ts'
import type { Users } from './users.ts'

export interface Item {
  id: number
  title: string
  author: string
}

export class Posts {
  static readonly service = 'posts'
  static readonly version = '1.0'

  #users: Promise<Client<Users>> | undefined

  /** How many posts a user has written. */
  async countOf(userId: number): Promise<number> {
    return await db.query(Post).filterBy({ userId }).count()
  }

  /** Publishes a post. Answers its id. */
  async publish(userId: number, title: string, text: string): Promise<number> {
    await (await this.#names()).name(userId) // throws where there is no such user
    const post = db.repo(Post).create({ userId, title, text })
    await db.em('posts').flush()
    return post.id
  }

  /** All posts from an id on, as a stream: a page is read when the caller has taken the one before. */
  async *feed(from = 1): AsyncGenerator<Item> {
    const users = await this.#names()
    for (let next = from; ;) {
      const page = await db
        .query(Post)
        .filterBy({ id: { $gte: next } })
        .orderBy({ id: 'asc' })
        .limit(50)
        .all()
      if (page.length === 0) return
      for (const { id, title, userId } of page) {
        yield { id, title, author: await users.name(userId) }
        next = id + 1
      }
    }
  }

  #names(): Promise<Client<Users>> {
    return (this.#users ??= core.client<Users>('users'))
  }
}
