import { type Client, RemoteError, ZaskError } from '../../core/index.ts'
import { isRecord } from '../record.ts'

/** What a service says about itself. */
export interface Description {
  readonly name: string
  readonly methods: Readonly<Record<string, MethodDescription>>
}

export interface MethodDescription {
  /** Null where the service does not know. */
  readonly args: readonly ArgumentDescription[] | null
  readonly doc: string | null
}

export interface ArgumentDescription {
  readonly name: string
  /** There only where the argument may be left out. */
  readonly default?: unknown
}

/**
 * Asks a service for its methods. `_zerorpc_inspect` fails on zerorpc-python under Python 3.11 and later, which has no
 * `getargspec` any more, and older and other servers do not have it: those still list their names, and most have the
 * text of each.
 *
 * @throws ZaskError `ZASK_WIRE_MALFORMED` where the service does not even list its methods; a RemoteError
 * `ZASK_METHOD_UNKNOWN` that says why where it does not want to.
 */
export async function describe(client: Client): Promise<Description> {
  const answer = await unlessRefused(client, '_zerorpc_inspect')
  if (isRecord(answer) && isRecord(answer['methods'])) {
    const methods = Object.entries(answer['methods']).map(([name, method]) => [name, methodOf(method)])
    return { name: nameOf(answer['name']), methods: Object.fromEntries(methods) }
  }
  const names = await client.$call('_zerorpc_list').catch((error: unknown) => {
    if (!isUnknown(error)) throw error
    throw new RemoteError('NameError', keptToItself(client), '', {
      code: 'ZASK_METHOD_UNKNOWN',
      cause: error,
    })
  })
  if (!Array.isArray(names)) {
    throw new ZaskError('ZASK_WIRE_MALFORMED', 'The service does not say what methods it has.')
  }
  const name = nameOf(await unlessRefused(client, '_zerorpc_name'))
  const methods = await Promise.all(
    names.map(String).map(async (method) => {
      const [doc, spec] = await Promise.all([
        unlessRefused(client, '_zerorpc_help', method),
        unlessRefused(client, '_zerorpc_args', method),
      ])
      return [method, { args: argsOfSpec(spec), doc: textOf(doc) }] as const
    }),
  )
  return { name, methods: Object.fromEntries(methods) }
}

/** The name of `...rest` for each method that has one: `_zerorpc_inspect` leaves those out. */
export async function restNames(client: Client, methods: readonly string[]): Promise<Map<string, string>> {
  const found = await Promise.all(
    methods.map(async (method) => {
      const spec = await unlessRefused(client, '_zerorpc_args', method)
      return Array.isArray(spec) && typeof spec[1] === 'string' ? [[method, spec[1]] as const] : []
    }),
  )
  return new Map(found.flat())
}

/** Whether a zask service has answered that it does not have what was called. */
export function isUnknown(error: unknown): boolean {
  return error instanceof RemoteError && error.code === 'ZASK_METHOD_UNKNOWN'
}

/** What to say where a service answers, and does not tell about itself. */
function keptToItself({ $endpoints }: Client): string {
  const at = $endpoints.map(({ endpoint }) => endpoint).join(', ')
  return (
    `The service at ${at} answers, and does not tell what methods it has: it was started with introspection: false, or ` +
    'INTROSPECTION = false in its config. Start it without, where that may be, or call a method whose name you know.'
  )
}

async function unlessRefused(client: Client, method: string, ...args: unknown[]): Promise<unknown> {
  try {
    return await client.$call(method, args)
  } catch (error) {
    if (error instanceof RemoteError) return undefined
    throw error
  }
}

function methodOf(method: unknown): MethodDescription {
  if (!isRecord(method)) return { args: null, doc: null }
  const { args, doc } = method
  if (!Array.isArray(args)) return { args: null, doc: textOf(doc) }
  const described = args.filter(isRecord).map((arg) => {
    return { name: String(arg['name']), ...('default' in arg && { default: arg['default'] }) }
  })
  return { args: withoutSelf(described), doc: textOf(doc) }
}

/** Python's getargspec: `[names, name of *args, name of **kwargs, defaults of the last so many names]`. */
function argsOfSpec(spec: unknown): ArgumentDescription[] | null {
  if (!Array.isArray(spec) || !Array.isArray(spec[0])) return null
  const names: unknown[] = spec[0]
  const defaults: unknown[] = Array.isArray(spec[3]) ? spec[3] : []
  const first = names.length - defaults.length
  return withoutSelf(
    names.map((name, position) => ({
      name: String(name),
      ...(position >= first && { default: defaults[position - first] }),
    })),
  )
}

/** Python names it among the arguments of a bound method; no caller passes it. */
function withoutSelf(args: ArgumentDescription[]): ArgumentDescription[] {
  return args[0]?.name === 'self' ? args.slice(1) : args
}

function nameOf(name: unknown): string {
  return typeof name === 'string' && name !== '' ? name : 'a service'
}

function textOf(doc: unknown): string | null {
  return typeof doc === 'string' && doc.trim() !== '' ? doc : null
}
