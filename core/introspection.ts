import type { Class, Comment, Expression, Function as FunctionNode, Options, Pattern } from 'acorn'
import { ZaskError } from './errors.ts'
import { nearMiss } from './near-miss.ts'
import { classOf, declaringObjects, shown, type Method, type Service } from './service.ts'

/** `default` stands only where there is one; a default that is not a plain literal is given as null. */
export interface ArgumentInfo {
  name: string
  default?: unknown
}

/**
 * `args` is null where the source cannot be read (native or bound functions), `doc` where there is no text.
 */
export interface MethodInfo {
  args: ArgumentInfo[] | null
  doc: string | null
}

/**
 * The shape of zerorpc-python's `_zerorpc_inspect`, which its command line reads. `methods` has no prototype.
 */
export interface ServiceInfo {
  name: string
  methods: Record<string, MethodInfo>
}

/** zask's own built-in call; no peer of another make knows it. */
export const statsMethod = '_zask_stats'

/** The only names with a leading underscore that a peer may call, beside `_zask_stats`. */
export const builtInNames: ReadonlySet<string> = new Set([
  '_zerorpc_inspect',
  '_zerorpc_list',
  '_zerorpc_name',
  '_zerorpc_ping',
  '_zerorpc_help',
  '_zerorpc_args',
])

/** What still is answered where a service does not tell about itself: who asks that wants to know whether it lives. */
const pingOnly: ReadonlySet<string> = new Set(['_zerorpc_ping'])
const all: ReadonlySet<string> = new Set([...builtInNames, statsMethod])

/** The built-in calls that a server answers; the others are unknown to it, as any name that nobody has. */
export function builtIns(introspection: boolean): ReadonlySet<string> {
  return introspection ? all : pingOnly
}

/**
 * Answers one of zerorpc's built-in calls in the shapes of zerorpc-python, except that there is no `self`
 * among the arguments. What needs the service's source text (inspect, help, args) is a promise, the rest is
 * there at once.
 *
 * @throws ZaskError, thrown or as a rejection: `ZASK_METHOD_UNKNOWN` where help or args name no method
 * (`KeyError` on the wire, as in Python) or `name` is no built-in; `ZASK_ARGS_INVALID` where they name none
 * at all.
 */
export function answerBuiltIn(service: Service, name: string, args: readonly unknown[]): unknown {
  switch (name) {
    case '_zerorpc_ping':
      return ['pong', service.displayName]
    case '_zerorpc_name':
      return service.displayName
    case '_zerorpc_list':
      return [...service.methods.keys()]
    case '_zerorpc_inspect':
      return inspectService(service)
    case '_zerorpc_help':
      return declarationOf(service, name, args).then(({ doc }) => doc)
    case '_zerorpc_args':
      return declarationOf(service, name, args).then(({ signature }) => signature && argSpec(signature))
    default:
      throw new ZaskError('ZASK_METHOD_UNKNOWN', `${shown(name)} is none of ${[...builtInNames].join(', ')}`)
  }
}

/** What callers can learn of a service. The answer is the caller's own to change. */
export async function inspectService(service: Service): Promise<ServiceInfo> {
  const methods: Record<string, MethodInfo> = Object.create(null)
  for (const [name, { signature, doc }] of await declarationsOf(service)) {
    methods[name] = { args: signature && structuredClone([...signature.args]), doc }
  }
  return { name: service.displayName, methods }
}

interface Signature {
  readonly args: readonly ArgumentInfo[]
  /** The name of `...rest`. */
  readonly rest: string | null
}

interface Declaration {
  readonly signature: Signature | null
  readonly doc: string | null
}

type Declarations = ReadonlyMap<string, Declaration>

async function declarationOf(
  service: Service,
  asked: string,
  args: readonly unknown[],
): Promise<Declaration> {
  const [name] = args
  if (typeof name !== 'string') {
    const seen = args.length === 0 ? 'no arguments' : `a first argument of the type ${typeof name}`
    throw new ZaskError('ZASK_ARGS_INVALID', `${asked} got ${seen}: pass the name of a method`)
  }
  const declaration = (await declarationsOf(service)).get(name)
  if (declaration !== undefined) return declaration
  const meant = nearMiss(name, service.methods.keys())
  const remedy = meant === undefined ? '_zerorpc_list names them all' : `did you mean ${shown(meant)}?`
  const message = `${service.displayName} has no method ${shown(name)}: ${remedy}`
  throw new ZaskError('ZASK_METHOD_UNKNOWN', message, { name: 'KeyError' })
}

/**
 * Python's `inspect.getargspec`: names, name of `*args`, name of `**kwargs`, defaults of the last so many
 * names.
 */
function argSpec({ args, rest }: Signature): unknown[] {
  const first = args.findIndex((arg) => 'default' in arg)
  // `f(a = 1, b)` is allowed here and not in Python, whose defaults always reach to the last name: fill with
  // null.
  const defaults = first < 0 ? null : args.slice(first).map((arg) => structuredClone(arg.default ?? null))
  return [args.map((arg) => arg.name), rest, null, defaults]
}

const known = new WeakMap<Service, Promise<Declarations>>()

function declarationsOf(service: Service): Promise<Declarations> {
  const before = known.get(service)
  if (before !== undefined) return before
  const reading = readDeclarations(service)
  known.set(service, reading)
  return reading
}

type Parse = (text: string, comments?: Comment[]) => Expression | undefined

async function readDeclarations(service: Service): Promise<Declarations> {
  // Loaded here and not at the top: a service that nobody inspects never pays for the parser.
  const acorn = await import('acorn')
  const parse: Parse = (text, comments) => {
    try {
      const options: Options = comments ? { ...lenient, onComment: comments } : lenient
      // The line break ends a `//` comment, should one be the last thing in the text.
      const [statement] = acorn.parse(`(${text}\n)`, options).body
      return statement?.type === 'ExpressionStatement' ? statement.expression : undefined
    } catch {
      return undefined
    }
  }
  const sources = new Map<object, ClassSource>()
  const sourceOf = (type: object): ClassSource => {
    const source = sources.get(type) ?? readClass(Function.prototype.toString.call(type), parse)
    sources.set(type, source)
    return source
  }
  const declarations = new Map<string, Declaration>()
  for (const method of service.methods.values()) {
    declarations.set(method.name, declare(service.target, method, sourceOf, parse))
  }
  return declarations
}

/**
 * A function's text stands here without what surrounds it, so what only the surroundings can allow is
 * allowed.
 */
const lenient: Options = {
  ecmaVersion: 'latest',
  sourceType: 'script',
  allowImportExportEverywhere: true,
  allowAwaitOutsideFunction: true,
  allowSuperOutsideMethod: true,
  checkPrivateFields: false,
}

function declare(
  target: object,
  { name, fn }: Method,
  sourceOf: (type: object) => ClassSource,
  parse: Parse,
): Declaration {
  const layers = declaringObjects(target)
  const owner = layers.findIndex((layer) => Object.getOwnPropertyDescriptor(layer, name)?.value === fn)
  let written: string | undefined
  let found: Declaration | undefined
  for (const [depth, layer] of layers.entries()) {
    const type = depth === 0 ? undefined : classOf(layer)
    if (type === undefined) continue
    written ??= writtenDoc(type, name)
    // A function that is the object's own was most likely put there by a field of one of its classes.
    if (owner === 0) found = sourceOf(type).fields.get(name)
    else if (depth === owner) found = sourceOf(type).methods.get(name)
    // The classes beyond the declaring one tell of what it overrides.
    if (found !== undefined || depth === owner) break
  }
  const signature = found?.signature ?? readFunction(Function.prototype.toString.call(fn), parse)
  return { signature, doc: written ?? found?.doc ?? null }
}

function writtenDoc(type: object, name: string): string | undefined {
  const docs: unknown = Object.getOwnPropertyDescriptor(type, 'docs')?.value
  if (typeof docs !== 'object' || docs === null) return undefined
  const doc: unknown = Object.getOwnPropertyDescriptor(docs, name)?.value
  return typeof doc === 'string' ? cleanDoc(doc) : undefined
}

interface ClassSource {
  readonly methods: Declarations
  readonly fields: Declarations
}

function readClass(text: string, parse: Parse): ClassSource {
  const methods = new Map<string, Declaration>()
  const fields = new Map<string, Declaration>()
  const comments: Comment[] = []
  const node = parse(text, comments)
  if (node?.type !== 'ClassExpression') return { methods, fields }
  const { start, body } = (node as Class).body
  let end = start + 1
  for (const member of body) {
    const from = end
    end = member.end
    if (member.type === 'StaticBlock' || member.static) continue
    if (member.type === 'MethodDefinition' && member.kind !== 'method') continue
    const name = keyOf(member.key, member.computed)
    if (name === undefined) continue
    const declaration = {
      signature: member.value ? readSignature(member.value) : null,
      doc: docBefore(`(${text}`, comments, from, member.start),
    }
    if (member.type === 'MethodDefinition') methods.set(name, declaration)
    else fields.set(name, declaration)
  }
  return { methods, fields }
}

function keyOf(key: { type: string; name?: string; value?: unknown }, computed: boolean): string | undefined {
  if (key.type === 'Literal') return String(key.value)
  return key.type === 'Identifier' && !computed ? key.name : undefined
}

/**
 * The text of a function, whichever way it was written: `toString` gives each just as it stands in the
 * source.
 */
function readFunction(text: string, parse: Parse): Signature | null {
  const plain = parse(text)
  if (plain !== undefined) return readSignature(plain)
  // A shorthand method makes sense only within braces: an object's, or a class's where its key is `#private`.
  const object = parse(`{${text}\n}`)
  if (object?.type === 'ObjectExpression') {
    const [property] = object.properties
    return property?.type === 'Property' ? readSignature(property.value) : null
  }
  const wrapped = parse(`class {${text}\n}`)
  const member = wrapped?.type === 'ClassExpression' ? wrapped.body.body[0] : undefined
  return member?.type === 'MethodDefinition' ? readSignature(member.value) : null
}

function readSignature(node: Expression): Signature | null {
  if (node.type !== 'FunctionExpression' && node.type !== 'ArrowFunctionExpression') return null
  const args: ArgumentInfo[] = []
  let rest: string | null = null
  for (const [position, param] of (node as FunctionNode).params.entries()) {
    if (param.type === 'RestElement') rest = nameOf(param.argument, position)
    else if (param.type === 'AssignmentPattern') {
      args.push({ name: nameOf(param.left, position), default: readLiteral(param.right)?.value ?? null })
    } else args.push({ name: nameOf(param, position) })
  }
  return { args, rest }
}

function nameOf(pattern: Pattern, position: number): string {
  return pattern.type === 'Identifier' ? pattern.name : `arg${position}`
}

/** The value of an expression that cannot have another, boxed because null is one of them; else undefined. */
function readLiteral(node: Expression): { value: unknown } | undefined {
  switch (node.type) {
    case 'Literal':
      return readScalar(node.value)
    case 'Identifier':
      return node.name === 'undefined' ? { value: null } : undefined
    case 'TemplateLiteral':
      return node.expressions.length === 0 ? readScalar(node.quasis[0]?.value.cooked) : undefined
    case 'UnaryExpression': {
      const value = readLiteral(node.argument)?.value
      if (node.operator === '-' && typeof value === 'bigint') return readScalar(-value)
      if (node.operator === '-' && typeof value === 'number') return { value: -value }
      if (node.operator === '+' && typeof value === 'number') return { value }
      // Minifiers write true and false as !0 and !1.
      if (node.operator === '!' && typeof value === 'number') return { value: !value }
      return undefined
    }
    case 'ArrayExpression': {
      const items = node.elements.map((item) =>
        item === null || item.type === 'SpreadElement' ? undefined : readLiteral(item),
      )
      return items.every((item) => item !== undefined)
        ? { value: items.map((item) => item.value) }
        : undefined
    }
    case 'ObjectExpression': {
      const entries: [string, unknown][] = []
      for (const property of node.properties) {
        if (property.type !== 'Property' || property.kind !== 'init' || property.computed) return undefined
        const key = keyOf(property.key, false)
        const literal = readLiteral(property.value)
        // `__proto__: x` names a prototype and makes no key.
        if (key === undefined || key === '__proto__' || literal === undefined) return undefined
        entries.push([key, literal.value])
      }
      return { value: Object.fromEntries(entries) }
    }
    default:
      return undefined
  }
}

function readScalar(value: unknown): { value: unknown } | undefined {
  if (value instanceof RegExp) return undefined
  // Beyond 64 bits msgpack has no integers.
  if (typeof value !== 'bigint') return { value: value ?? null }
  return value >= -(2n ** 63n) && value < 2n ** 64n ? { value } : undefined
}

/**
 * The JSDoc text that belongs to the member at `start`, `from` being the end of the member before it.
 *
 * Other comments may stand between the text and its member, an empty line may not: Node's type stripping
 * leaves an empty line where a documented declaration without code was, and its text must not pass to the
 * next member.
 */
function docBefore(source: string, comments: readonly Comment[], from: number, start: number): string | null {
  let next = start
  for (const comment of comments.filter((one) => one.start >= from && one.end <= start).toReversed()) {
    if (/\n[^\S\n]*\n/.test(source.slice(comment.end, next))) return null
    next = comment.start
    if (comment.type !== 'Block' || !/^\*(?!\*)/.test(comment.value)) continue
    // On the line where the member before ends, with ours on a later line, it is a remark on that member.
    const trails =
      !source.slice(from, comment.start).includes('\n') && source.slice(comment.end, start).includes('\n')
    if (trails && source[from - 1] !== '{') return null
    const text = comment.value.slice(1).replaceAll(/^[ \t]*\*/gm, '')
    return cleanDoc(text) || null
  }
  return null
}

/** Python's `inspect.cleandoc`, so that a text looks the same whichever language it was written in. */
function cleanDoc(text: string): string {
  const [first = '', ...rest] = text.split(/\r?\n/).map((line) => line.trimEnd())
  const indents = rest.filter((line) => line !== '').map((line) => line.search(/\S/))
  const margin = indents.length === 0 ? 0 : Math.min(...indents)
  const lines = [first.trimStart(), ...rest.map((line) => line.slice(margin))]
  while (lines.length > 0 && lines[0] === '') lines.shift()
  while (lines.length > 0 && lines.at(-1) === '') lines.pop()
  return lines.join('\n')
}
