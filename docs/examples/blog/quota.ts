import { type Plugin, ZaskError } from 'zask'

type Quotas = Readonly<Record<string, number>>

/** Lets an access key make so many calls a minute; a key that `QUOTA_PER_MINUTE` does not name, any number. */
export function quota(): Plugin<{
  needs: { accessKey: string | undefined }
  config: { QUOTA_PER_MINUTE: Quotas }
}> {
  return {
    name: 'quota',
    requires: ['headers'],
    defaults: { QUOTA_PER_MINUTE: {} },
    apply(core) {
      const used = new Map<string, number>()
      let minute = 0
      core.hooks.beforeCall.tap('quota', ({ side, accessKey: key = '' }) => {
        const limit = side === 'server' ? core.config.QUOTA_PER_MINUTE[key] : undefined
        if (limit === undefined) return
        const now = Math.floor(Date.now() / 60_000)
        if (now !== minute) used.clear()
        minute = now
        const calls = (used.get(key) ?? 0) + 1
        used.set(key, calls)
        if (calls > limit) throw new ZaskError('QUOTA_USED_UP', `${key} may make ${limit} calls a minute.`)
      })
    },
  }
}
