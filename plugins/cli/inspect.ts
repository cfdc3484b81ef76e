import { inspect } from 'node:util'
import { RemoteError, ZaskError } from '../../core/index.ts'
import type { Command } from './cli.ts'
import { dim, escapeControls, json } from './terminal.ts'

interface Report {
  readonly name: string
  readonly methods: Readonly<Record<string, { readonly args?: unknown; readonly doc?: unknown }>>
}

/** `zask inspect`: the methods of a service, with what it says about each of them. */
export async function inspectService(command: Command): Promise<void> {
  const { words, asJson, terminal } = command
  const report = await ask(command)
  const [wanted] = words
  if (wanted !== undefined && !Object.hasOwn(report.methods, wanted)) {
    const names = Object.keys(report.methods).join(', ')
    throw new RemoteError('NameError', `${report.name} has no method '${wanted}'. It has ${names}.`)
  }
  const chosen = Object.entries(report.methods).filter(([name]) => wanted === undefined || name === wanted)
  if (asJson) {
    terminal.write(`${json({ name: report.name, methods: Object.fromEntries(chosen) })}\n`)
    return
  }
  if (wanted === undefined) terminal.write(`${escapeControls(report.name)} at ${command.endpoint}\n`)
  for (const [name, { args, doc }] of chosen) {
    terminal.write(`${wanted === undefined ? '  ' : ''}${escapeControls(name)}${signature(args)}\n`)
    const text = typeof doc === 'string' ? doc.trim() : ''
    // A list has room for the first line; whoever asks for one method wants to read it all.
    const lines =
      text === '' ? [] : wanted === undefined ? [text.split('\n', 1)[0] as string] : text.split('\n')
    for (const line of lines) terminal.write(dim(`      ${escapeControls(line.trim())}\n`, terminal))
  }
}

/** Servers older than `_zerorpc_inspect`, and some of other languages, still list their names. */
async function ask({ client }: Command): Promise<Report> {
  try {
    const answer = await client.$call('_zerorpc_inspect')
    if (isReport(answer)) return answer
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
  }
  const names = await client.$call('_zerorpc_list')
  if (!Array.isArray(names)) {
    throw new ZaskError('ZASK_WIRE_MALFORMED', 'The service does not say what methods it has.')
  }
  return { name: 'a service', methods: Object.fromEntries(names.map((name) => [String(name), {}])) }
}

function isReport(answer: unknown): answer is Report {
  if (typeof answer !== 'object' || answer === null) return false
  const { name, methods } = answer as Partial<Report>
  return (
    typeof name === 'string' &&
    typeof methods === 'object' &&
    methods !== null &&
    Object.values(methods).every((method) => typeof method === 'object' && method !== null)
  )
}

/** `(a, b = 1)`; nothing where the service does not know its arguments. */
function signature(args: unknown): string {
  if (!Array.isArray(args)) return ''
  const shown = args.map((arg: unknown) => {
    const { name, default: otherwise } = (arg ?? {}) as { name?: unknown; default?: unknown }
    const hasDefault = typeof arg === 'object' && arg !== null && 'default' in arg
    return `${String(name)}${hasDefault ? ` = ${inspect(otherwise, { breakLength: Infinity })}` : ''}`
  })
  return `(${escapeControls(shown.join(', '))})`
}
