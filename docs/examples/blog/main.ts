import { ZaskError } from 'zask'
import { core } from './app.ts'
import { Posts } from './posts.ts'
import { seed } from './seed.ts'
import { Users } from './users.ts'

const example = 'docs/examples/blog'
// What was set for this terminal is needed in the other one, too.
const port = process.env['BLOG_PORT']
const env = port === undefined ? '' : `BLOG_PORT=${port} `
const zask = `${env}npm run -s zask --`
const app = `--app ${example}/caller.ts`

try {
  await seed()
  const { services } = await core.start([new Users(), new Posts()])
  const places = services.map(({ service, endpoints }) => `${service} is at ${endpoints.join(', ')}`)
  console.log(`${places.join('; ')}. From another terminal:

  ${zask} inspect users ${app}
  ${zask} call users name 1 ${app}
  ${zask} call users profile 1 ${app}
  ${zask} call posts feed ${app}
  ${zask} call posts publish 2 'Third post' 'Typed.' ${app}
  ${env}npx node --conditions=zask-source ${example}/client.ts
  tail -n 2 ${core.config.ZERORPC_ACCESS_LOG.replace(/^(?!\/)/, `${example}/`)}

Ctrl-C stops it.`)
} catch (error) {
  if (!(error instanceof ZaskError)) throw error
  console.error(error.message)
  if (error.code === 'ZASK_ENDPOINT_IN_USE') console.error('BLOG_PORT=5000 npm start takes others.')
  process.exitCode = 1
  await core.stop()
}
