import { createCore } from 'zask'
import { endpoints } from 'zask/plugins/endpoints'
import { headers } from 'zask/plugins/headers'
import { requestChain } from 'zask/plugins/request-chain'

/** What a caller needs: where the services are and which key they take. No database, no logs. */
export const core = createCore({
  root: import.meta.dirname,
  plugins: [endpoints(), headers(), requestChain()],
})
await core.config.fromFile('setting.ts')
