import { type Client, type ClientOptions, createCore } from '../../core/index.ts'
import { type CommandLine, Misuse, numberOption, type Options, textsOption } from './command.ts'

/** What every command that calls a service can be told. */
export const remoteOptions: Options = {
  timeout: {
    type: 'string',
    value: '<s>',
    says: 'seconds to wait for the first answer, 0 for no limit (default: 30)',
  },
  heartbeat: {
    type: 'string',
    value: '<s>',
    says: 'seconds between heartbeats, 0 for none (default: 5)',
  },
  header: { type: 'string', multiple: true, value: '<k=v>', says: 'a header to send along; may be repeated' },
  version: { type: 'string', value: '<v>', says: 'the version of the service to ask for' },
}

/** A client of a service, and where it is. */
export interface Remote {
  readonly client: Client
  readonly endpoint: string
}

/** Runs something with a client of the endpoint that is the first word of the command line. */
export async function withClient<T>(line: CommandLine, run: (remote: Remote) => Promise<T>): Promise<T> {
  const [endpoint = ''] = line.words
  if (!endpoint.includes('://')) {
    throw new Misuse(`'${endpoint}' is no endpoint. Write one such as tcp://127.0.0.1:4242`)
  }
  const options = clientOptions(line)
  const core = createCore()
  try {
    const made = await core.client(endpoint, options)
    return await run({ client: made.$with({ signal: line.terminal.signal }), endpoint })
  } finally {
    await core.stop()
  }
}

/** The version rides in the header key that the servers of zask and of the original check. */
function clientOptions(line: CommandLine): ClientOptions {
  const seconds = numberOption(line, 'timeout', { unit: 'seconds' }) ?? 30
  const beat = numberOption(line, 'heartbeat', { unit: 'seconds' }) ?? 5
  const { version } = line.options
  const headers = Object.fromEntries(textsOption(line, 'header').map(header))
  return {
    timeoutMs: seconds === 0 ? Infinity : seconds * 1000,
    heartbeat: beat === 0 ? null : { intervalMs: beat * 1000 },
    headers: { ...(typeof version === 'string' && { service_version: version }), ...headers },
  }
}

/** Always text: a key that looks like a number is none. */
function header(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Misuse(`--header takes name=value, such as access_key=abc, got '${text}'.`)
  return [text.slice(0, at), text.slice(at + 1)]
}
