import { defineConfig } from 'zask'

const { BLOG_PORT = '4242', BLOG_DATA = 'data', BLOG_POSTGRES } = process.env
const port = Number(BLOG_PORT)
const keys = { client_keys: ['key-of-the-blog', 'key-of-a-guest'], access_key: 'key-of-the-blog' }

export default defineConfig({
  DEBUG: false,
  ERROR_LOG: `${BLOG_DATA}/error.log`,
  ZERORPC_ACCESS_LOG: `${BLOG_DATA}/access.log`,
  ZERORPC_USERS: { '1.0': `tcp://127.0.0.1:${port}`, default: '1.0', ...keys },
  ZERORPC_POSTS: { '1.0': `tcp://127.0.0.1:${port + 1}`, default: '1.0', ...keys },
  DATABASE_BINDS: BLOG_POSTGRES
    ? { users: `${BLOG_POSTGRES}/blog_users`, posts: `${BLOG_POSTGRES}/blog_posts` }
    : { users: `sqlite:///${BLOG_DATA}/users.db`, posts: `sqlite:///${BLOG_DATA}/posts.db` },
  QUOTA_PER_MINUTE: { 'key-of-a-guest': 5 },
})
