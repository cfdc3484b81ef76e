import { createCore } from 'zask'
import { defaults } from 'zask/plugins'
import { mikroOrm } from 'zask/plugins/mikro-orm'
import { Post, User } from './entities.ts'
import { quota } from './quota.ts'

export const db = mikroOrm({ entities: [User, Post] })

export const core = createCore({ root: import.meta.dirname, plugins: [...defaults(), quota(), db] })
await core.config.fromFile('setting.ts')
core.config.fromPrefixedEnv() // ZASK_DEBUG=true
