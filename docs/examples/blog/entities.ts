import { p } from '@mikro-orm/core'
import { entityFor } from 'zask/plugins/mikro-orm'

export const User = entityFor('users')({
  name: 'User',
  properties: {
    id: p.integer().primary(),
    name: p.string().length(80).unique(),
  },
})

/** No relation leads to the author: users are another service's, in a database of its own. */
export const Post = entityFor('posts')({
  name: 'Post',
  properties: {
    id: p.integer().primary(),
    userId: p.integer(),
    title: p.string().length(200),
    text: p.text(),
  },
})
