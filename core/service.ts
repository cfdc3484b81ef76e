import { ZaskError } from './errors.ts'
import { nearMiss } from './near-miss.ts'

/** One method a peer may call. `fn` is unbound: call it with the service's `target` as `this`. */
export interface Method {
  readonly name: string
  readonly fn: (...args: never[]) => unknown
  /** How often it was run. */
  runs: number
}

export interface ServiceOptions {
  /** The name clients ask for. Default: the class's `static service`; none for a plain object. */
  service?: string
  /** Default: the class's `static version`; none for a plain object. */
  version?: string
  /** The only methods to serve, out of those the class itself lets be served. Default: all of them. */
  expose?: readonly string[]
}

/** What can be a method's name. Longer or stranger ones are hidden, for logs and config carry them too. */
const callable = /^[A-Za-z][\w.]{0,127}$/

/**
 * What a class instance or a plain object of functions offers to callers: its name, version and table of
 * methods.
 *
 * Served are the own and inherited methods, down to but not including `Object.prototype`. Hidden are names
 * that begin with `_`, the constructor, accessors, classes kept in a property, whatever is not a function,
 * and what `static expose` or `options.expose` leaves out. The table is drawn up once: a function put on the
 * object afterwards cannot be called from outside.
 */
export class Service {
  readonly target: object
  readonly name: string | undefined
  readonly version: string | undefined
  /** `name`, else the class's name, else `'Object'`: what `_zerorpc_name` and `_zerorpc_ping` answer. */
  readonly displayName: string
  /** The class's name, `'Object'` where there is none: what the access log writes. */
  readonly className: string
  readonly methods: ReadonlyMap<string, Method>

  private constructor(target: object, options: ServiceOptions) {
    const declared: Statics = nearestClass(target) ?? {}
    this.target = target
    this.className = nameOfClass(target)
    this.name = text('service', options.service ?? declared.service, this.className)
    this.version = text('version', options.version ?? declared.version, this.className)
    this.displayName = this.name ?? this.className
    const { methods, hidden } = collect(target)
    // The class's list comes first, so that options can narrow what its author allowed, never widen it.
    const narrowed = narrow(methods, hidden, declared.expose, this.className)
    this.methods = narrow(narrowed, hidden, options.expose, this.className)
    if (this.methods.size === 0) throw nothingToServe(this.className, hidden)
  }

  /**
   * @throws ZaskError `ZASK_SERVICE_INVALID` for what is no object, a class in place of an instance, no
   * methods at all, an `expose` that names something that is not a method, a `service` or `version` that is
   * not text.
   */
  static from(target: object, options: ServiceOptions = {}): Service {
    refuseWhatIsNoService(target)
    return new Service(target, options)
  }

  /** A map lookup: whatever a peer sends as a name, nothing but a declared method comes back. */
  method(name: string): Method | undefined {
    return this.methods.get(name)
  }
}

/** The object itself, then its prototypes, nearest first, without the `Object.prototype` of any realm. */
export function declaringObjects(target: object): object[] {
  const found = [target]
  for (let next: object | null = Object.getPrototypeOf(target); next !== null;) {
    const below: object | null = Object.getPrototypeOf(next)
    // `=== Object.prototype` would miss the one of another realm (a vm context, as test runners make them).
    if (below === null && Object.hasOwn(next, 'isPrototypeOf')) break
    found.push(next)
    next = below
  }
  return found
}

/** The class a prototype belongs to. Reads no accessor. */
export function classOf(prototype: object): Statics | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  return typeof value === 'function' ? value : undefined
}

/** A class, as far as it matters here. Each of these can be anything: a class may say `static name = 5`. */
export interface Statics {
  readonly name?: unknown
  readonly service?: unknown
  readonly version?: unknown
  readonly expose?: unknown
}

function invalid(message: string): ZaskError {
  return new ZaskError('ZASK_SERVICE_INVALID', message)
}

function refuseWhatIsNoService(target: unknown): void {
  if (typeof target === 'function') {
    const name = typeof target.name === 'string' ? target.name : ''
    const [kind, remedy] = isClass(target)
      ? ['class', `new ${name || 'Service'}()`]
      : ['function', `an object such as { ${name || 'add'}: fn }`]
    throw invalid(`a service is an object, got the ${kind} ${name || '(anonymous)'}: pass ${remedy}`)
  }
  if (typeof target !== 'object' || target === null) {
    throw invalid(`a service is a class instance or an object of functions, got ${describe(target)}`)
  }
  // A bare Map or array would serve `clear` or `push` to the network; nobody who passes one means that.
  const prototype: object | null = Object.getPrototypeOf(target)
  const builtIn = prototype !== null && declaringObjects(target).length > 1 ? classOf(prototype) : undefined
  if (builtIn === undefined || !isNative(builtIn)) return
  if (builtIn.name === 'Promise') throw invalid('a service is an object, got a promise: await it first')
  const remedy = Array.isArray(target) ? 'make a service of each element' : 'pass an object of functions'
  throw invalid(`a service is a class instance or an object of functions, got ${describe(target)}: ${remedy}`)
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return `an object of the class ${nameOfClass(value)}`
  if (typeof value === 'string') return `the text ${shown(value)}`
  const printed = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
  return printed ? `the ${typeof value} ${value}` : `a ${typeof value}`
}

/** A name for a message, on one line and not too long, whoever sent it. */
export function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 79)}…` : name)
}

/**
 * A class cannot be called without `new`. It alone, among functions, has a `prototype` that cannot be
 * replaced.
 */
function isClass(value: unknown): boolean {
  if (typeof value !== 'function') return false
  return Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false
}

function isNative(fn: object): boolean {
  return /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(fn))
}

function nearestClass(target: object): Statics | undefined {
  for (const prototype of declaringObjects(target).slice(1)) {
    const found = classOf(prototype)
    if (found !== undefined) return found
  }
  return undefined
}

function nameOfClass(target: object): string {
  const name = nearestClass(target)?.name
  return typeof name === 'string' && name !== '' ? name : 'Object'
}

function text(key: 'service' | 'version', value: unknown, className: string): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  const example = key === 'service' ? "'users'" : typeof value === 'number' ? `'${value}'` : "'1.0'"
  const seen = value === '' ? 'an empty text' : describe(value)
  throw invalid(`${className}: ${key} must be a text with something in it, got ${seen}: write ${example}`)
}

interface Collected {
  methods: ReadonlyMap<string, Method>
  /** Name to the reason why it is no method. */
  hidden: ReadonlyMap<string, string>
}

function collect(target: object): Collected {
  const methods = new Map<string, Method>()
  const hidden = new Map<string, string>()
  for (const layer of declaringObjects(target)) {
    for (const name of Object.getOwnPropertyNames(layer)) {
      // What stands nearer counts, also where it hides: an accessor over an inherited method hides that
      // method.
      if (methods.has(name) || hidden.has(name)) continue
      // The descriptor, not the value: reading a property would run its getter.
      const descriptor = Object.getOwnPropertyDescriptor(layer, name)
      if (descriptor === undefined) continue
      const fn: unknown = descriptor.value
      const reason = reasonToHide(name, descriptor)
      if (reason !== undefined) hidden.set(name, reason)
      else if (isFunction(fn)) methods.set(name, { name, fn, runs: 0 })
      else hidden.set(name, 'is not a function')
    }
  }
  return { methods, hidden }
}

function reasonToHide(name: string, descriptor: PropertyDescriptor): string | undefined {
  if (name === 'constructor') return 'is the constructor'
  if (name.startsWith('_')) return 'begins with _'
  if (!callable.test(name)) return 'is not of letters, digits, _ and . only, or longer than 128 characters'
  if (!('value' in descriptor)) return 'is an accessor'
  return isClass(descriptor.value) ? 'is a class' : undefined
}

function isFunction(value: unknown): value is Method['fn'] {
  return typeof value === 'function'
}

function narrow(
  methods: ReadonlyMap<string, Method>,
  hidden: ReadonlyMap<string, string>,
  expose: unknown,
  className: string,
): ReadonlyMap<string, Method> {
  if (expose === undefined) return methods
  if (!Array.isArray(expose)) {
    throw invalid(`${className}: expose must be a list of method names, got ${describe(expose)}`)
  }
  const narrowed = new Map<string, Method>()
  for (const name of expose as readonly unknown[]) {
    if (typeof name !== 'string') {
      throw invalid(`${className}: expose must be a list of method names, got ${describe(name)} in it`)
    }
    const method = methods.get(name)
    if (method === undefined) throw notExposable(name, methods, hidden, className)
    narrowed.set(name, method)
  }
  return narrowed
}

function notExposable(
  name: string,
  methods: ReadonlyMap<string, Method>,
  hidden: ReadonlyMap<string, string>,
  className: string,
): ZaskError {
  const start = `${className}: expose names ${shown(name)}, which`
  const reason = hidden.get(name)
  if (reason !== undefined) return invalid(`${start} ${reason}: take it out of the list`)
  const meant = nearMiss(name, methods.keys())
  const remedy =
    meant === undefined
      ? `it must be among ${[...methods.keys()].join(', ') || 'the methods, of which there are none'}`
      : `did you mean ${shown(meant)}?`
  return invalid(`${start} is not a method that can be served: ${remedy}`)
}

function nothingToServe(className: string, hidden: ReadonlyMap<string, string>): ZaskError {
  const seen = [...hidden].filter(([name]) => name !== 'constructor').map(([name, why]) => `${name} ${why}`)
  const rest = seen.length > 5 ? [...seen.slice(0, 5), `${seen.length - 5} more`] : seen
  const found = rest.length === 0 ? 'saw no methods' : `saw only what is hidden (${rest.join('; ')})`
  return invalid(
    `${className} has nothing to serve: ${found}: give it a method whose name begins with a letter`,
  )
}
