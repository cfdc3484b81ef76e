import type { ArgumentDescription, Description, MethodDescription } from './description.ts'

/**
 * A TypeScript interface for `core.client<Name>(endpoint)`. Answers are `unknown`, which awaits and iterates alike; an
 * argument has the type of its default where that is a number, text or boolean.
 *
 * @param rests The names of `...rest` arguments, by method.
 */
export function declarationOf(
  { name, methods }: Description,
  endpoint: string,
  rests: ReadonlyMap<string, string>,
): string {
  const members = Object.entries(methods).map(
    ([method, described]) =>
      comment(described.doc, '  ') +
      `  ${isIdentifier(method) ? method : JSON.stringify(method)}` +
      `(${parameters(described, rests.get(method))}): unknown\n`,
  )
  const about = comment(`${name}, as it describes itself at ${endpoint}.`, '')
  return `${about}export interface ${typeName(name)} {\n${members.join('')}}\n`
}

function parameters({ args }: MethodDescription, rest: string | undefined): string {
  if (args === null) return '...args: unknown[]'
  // TypeScript has no required parameter behind an optional one.
  const lastRequired = args.findLastIndex((arg) => !('default' in arg))
  const names = parameterNames([...args.map(({ name }) => name), ...(rest === undefined ? [] : [rest])])
  const shown = args.map((arg, position) => {
    const optional = position > lastRequired ? '?' : ''
    return `${names[position]}${optional}: ${typeOf(arg)}`
  })
  if (rest !== undefined) shown.push(`...${names.at(-1)}: unknown[]`)
  return shown.join(', ')
}

function typeOf(arg: ArgumentDescription): string {
  const type = typeof arg.default
  return type === 'number' || type === 'string' || type === 'boolean' ? type : 'unknown'
}

/** What comes from the wire must not become code: a name that is none, or stands there twice, is numbered. */
function parameterNames(names: readonly string[]): string[] {
  const taken = new Set<string>()
  let number = 0
  return names.map((name, position) => {
    number = Math.max(number, position)
    let free = name
    while (!isIdentifier(free) || reserved.has(free) || taken.has(free)) free = `arg${number++}`
    taken.add(free)
    return free
  })
}

function isIdentifier(name: string): boolean {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name)
}

/** `blog-posts` is BlogPosts. */
function typeName(name: string): string {
  const parts = name.split(/[^\p{ID_Continue}$]+/u).filter((part) => part !== '')
  const joined = parts.map((part) => (part[0] as string).toUpperCase() + part.slice(1)).join('')
  if (joined === '' || name === 'a service' || builtInTypes.has(joined)) return 'Service'
  return isIdentifier(joined) ? joined : `Service${joined}`
}

function comment(text: string | null, indent: string): string {
  if (text === null) return ''
  const lines = text
    .trim()
    .replaceAll('*/', '*\\/')
    .split(/\r?\n|[\u2028\u2029]/)
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`
}

/** An interface of that name would take the place of what its own methods, or their users, mean by it. */
const builtInTypes: ReadonlySet<string> = new Set(['Object', 'Promise', 'AsyncIterable', 'Array', 'Function'])

const reserved: ReadonlySet<string> = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends ' +
    'false finally for function if implements import in instanceof interface let new null package private protected ' +
    'public return static super switch this throw true try typeof var void while with yield'
  ).split(' '),
)
