import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import type { EntityManager, EntityName, MikroORM } from '@mikro-orm/core'
import { type Call, type Outcome, type PluginCore, ZaskError } from '../../core/index.ts'
import { type CheckList, checksHook, type CommandList, commandsHook } from '../command.ts'
import { Bind, type BindHost, type Ping, type ReflectedTable } from './bind.ts'
import type { DatabaseReport } from './bind-figures.ts'
import { bindKeyOf } from './bind-key.ts'
import {
  type CallDatabaseOwner,
  type DatabaseAdds,
  LiveCallDatabase,
  type SessionManager,
} from './call-database.ts'
import { callerError } from './caller-error.ts'
import { checkBinds } from './database-checks.ts'
import type { BindChoice, Database, DatabaseShape, MikroOrmOptions } from './mikro-orm.ts'
import { Query } from './query.ts'
import { refuseForeignRelations } from './relations.ts'
import { migratorOf, seederOf } from './schema-changes.ts'
import { Session, type SessionHost } from './session.ts'
import {
  adoptOriginalKeys,
  allBinds,
  checkDatabaseConfig,
  type DatabaseConfig,
  databaseDefaults,
  defaultBind,
  readBinds,
  unknownBind,
} from './settings.ts'

type CallWithDatabase = Call & { db?: LiveCallDatabase | undefined; em?: SessionManager }

/** The plugin and its handle. */
export class LiveDatabase implements Database, CallDatabaseOwner, SessionHost {
  readonly name: string = 'mikro-orm'
  readonly defaults: DatabaseConfig = databaseDefaults
  readonly #options: MikroOrmOptions
  /** MikroORM keeps its contexts by name for the whole process: two cores must not meet there. */
  readonly #id = randomBytes(4).toString('hex')
  readonly #runs = new AsyncLocalStorage<Session>()
  readonly #manager: SessionManager
  readonly #bindOfEntity = new Map<object, string>()
  /** What connections have thrown, with the name of the bind: it comes as the driver made it. */
  readonly #thrown = new WeakMap<object, string>()
  #core: PluginCore<DatabaseShape> | undefined
  #binds: Map<string, Bind> | undefined
  #opening: Promise<Map<string, Bind>> | undefined
  #closed = false

  constructor(options: MikroOrmOptions) {
    this.#options = options
    this.#manager = currentManager((bind) => this.manager(bind))
  }

  apply(core: PluginCore<DatabaseShape>): void {
    if (this.#core !== undefined) {
      throw new ZaskError(
        'ZASK_PLUGIN_INVALID',
        'this mikroOrm() is in the list of another core. Make one for each core.',
      )
    }
    this.#core = core
    checkDatabaseConfig(core.config)
    core.addStats('mikro-orm', () => this.#report())
    core.hooks.configLoaded.tap(this.name, async () => {
      // Who writes nothing because the call failed need not be told; without debug mode nobody is told anything.
      if (core.config.DEBUG) core.hooks.afterCall.tap(this.name, noteFailure)
      const binds = await this.#open()
      const { connectTimeoutMs = 8_000 } = this.#options
      if (connectTimeoutMs === null) return
      await Promise.all([...binds.values()].map((bind) => bind.connect(connectTimeoutMs)))
    })
    core.hooks.beforeCall.tap(this.name, (call) => void this.#attach(call))
    core.hooks.answerError.tap(this.name, (call, thrown) => this.#tell(call, thrown))
    core.hooks.sessionEnd.tap(this.name, (call) => this.#attach(call)?.end())
    core.hooks.stopped.tap(this.name, () => this.close())
    core.hooks.custom<CommandList>(commandsHook).tap(this.name, async (list) => {
      const { dbCommand } = await import('./db-command.ts')
      list.add('db', dbCommand(this))
    })
    core.hooks
      .custom<CheckList>(checksHook)
      .tap(this.name, (list) => list.add(async () => checkBinds((await this.#open()).values())))
  }

  // sessions

  get em(): SessionManager {
    this.#session()
    return this.#manager
  }

  /** The current session's entity manager of a bind. */
  manager(bind: string): EntityManager {
    return this.#session().manager(bind)
  }

  repo<T extends object>(entity: EntityName<T>): never {
    return this.manager(this.bindOf(entity)).getRepository(entity as never) as never
  }

  query<T extends object>(entity: EntityName<T>): Query<T> {
    return new Query<T>(entity as object, () => this.manager(this.bindOf(entity)))
  }

  bindOf(entity: EntityName<never> | object): string {
    return this.#bindOfEntity.get(entity) ?? bindKeyOf(entity) ?? defaultBind
  }

  async run<T>(work: () => T | PromiseLike<T>, { signal }: { signal?: AbortSignal } = {}): Promise<T> {
    await this.#open()
    const session = new Session(this, this.#core?.currentCall, signal)
    try {
      return await this.#runs.run(session, async () => await work())
    } catch (error) {
      session.failed = true
      throw error
    } finally {
      await session.end()
    }
  }

  open(call: Call): Session {
    return new Session(this, call, call.signal)
  }

  fork(name: string, session: Session): EntityManager {
    return this.#bind(name).fork(session)
  }

  get debug(): boolean {
    return this.#core?.config.DEBUG === true
  }

  ended(name: string): void {
    this.#bind(name).figures.ended++
  }

  leftOpen(name: string): void {
    this.#bind(name).figures.rolledBack++
  }

  warn(session: Session, message: string): void {
    const log = session.call?.log ?? this.#core?.log
    log?.warn(message)
  }

  // databases

  orm(bind?: string | null): MikroORM {
    return this.#bind(bind ?? defaultBind).orm
  }

  async createAll(choice?: BindChoice): Promise<void> {
    for (const bind of await this.#chosen(choice)) await bind.createAll()
  }

  async dropAll(choice?: BindChoice): Promise<void> {
    for (const bind of await this.#chosen(choice)) await bind.dropAll()
  }

  async reflect(choice?: BindChoice): Promise<Record<string, ReflectedTable[]>> {
    const found: Record<string, ReflectedTable[]> = {}
    for (const bind of await this.#chosen(choice)) found[bind.settings.name] = await bind.reflect()
    return found
  }

  /** The binds of these names, else all. */
  chosen(names: readonly string[] | undefined): Promise<Bind[]> {
    return this.#chosen(names === undefined ? {} : { bind: names })
  }

  async ping(bind?: string | null): Promise<Ping> {
    await this.#open()
    return this.#bind(bind ?? defaultBind).ping()
  }

  async migrator(bind?: string | null): Promise<MikroORM['migrator']> {
    await this.#open()
    return migratorOf(this.#bind(bind ?? defaultBind))
  }

  async seeder(bind?: string | null): Promise<MikroORM['seeder']> {
    await this.#open()
    return seederOf(this.#bind(bind ?? defaultBind))
  }

  async close(): Promise<void> {
    this.#closed = true
    // What is being opened is closed when it is there.
    const binds = await this.#opening?.catch(() => undefined)
    await Promise.all([...(binds?.values() ?? [])].map((bind) => bind.close()))
  }

  // below

  #report(): DatabaseReport {
    return Object.fromEntries([...(this.#binds ?? [])].map(([name, bind]) => [name, bind.figures.report()]))
  }

  /** The session of the running code: that of `db.run`, else that of the call. */
  #current(): Session | undefined {
    const call = this.#core?.currentCall as CallWithDatabase | undefined
    const run = this.#runs.getStore()
    // A call served by code that was started within db.run has its own session.
    if (run !== undefined && !run.over && run.call === call) return run
    return call === undefined ? undefined : this.#attach(call)?.session()
  }

  #session(): Session {
    const session = this.#current()
    if (session !== undefined && !session.over) return session
    throw new ZaskError(
      'ZASK_DATABASE_NO_SESSION',
      'There is no database session here: no call is being served, or it has ended. Outside of calls open one, ' +
        'db.run(async () => db.em.find(User, {})); what outlives its call needs that, too.',
    )
  }

  /** Gives a call its database, once. The client side of a call shows that of the call it is made within. */
  #attach(call: Call): LiveCallDatabase | undefined {
    const known = (call as CallWithDatabase).db
    if (known !== undefined) return known
    const { parent } = call
    const made =
      call.side === 'server'
        ? new LiveCallDatabase(this, call)
        : parent === undefined
          ? undefined
          : this.#attach(parent)
    // The manager is that of the current call: no accessor has to be made for each.
    const target = call as CallWithDatabase
    target.db = made
    target.em = this.#manager
    return made
  }

  /** The error that a remote caller gets of one of the database; the log gets it whole. */
  #tell(call: Call, thrown: unknown): ZaskError | undefined {
    const bind = thrown instanceof Error ? this.#thrown.get(thrown) : undefined
    const error = bind === undefined ? thrown : this.#bind(bind).converted(thrown as Error)
    const told = callerError(error, call.id)
    if (told !== undefined) call.log.error({ err: thrown }, `the caller was told: ${told.name}`)
    return told
  }

  async #chosen({ bind = allBinds }: BindChoice = {}): Promise<Bind[]> {
    const binds = await this.#open()
    if (bind === allBinds) return [...binds.values()]
    const names = Array.isArray(bind) ? (bind as readonly (string | null)[]) : [bind as string | null]
    return names.map((name) => this.#bind(name ?? defaultBind))
  }

  #bind(name: string): Bind {
    const bind = this.#binds?.get(name)
    if (bind !== undefined) return bind
    if (this.#binds !== undefined) throw unknownBind(name, this.#binds.keys())
    throw new ZaskError(
      'ZASK_DATABASE_NO_SESSION',
      'The databases are not open yet: they are when core.start() or core.client() has read the config. ' +
        'db.run(), db.createAll() and db.ping() open them earlier.',
    )
  }

  /** Makes the ORMs, once, of the config as it is then. */
  #open(): Promise<Map<string, Bind>> {
    const core = this.#core
    if (core === undefined || this.#closed) {
      const message =
        core === undefined
          ? 'mikroOrm() is in no list of plugins yet. Put it there: createCore({ plugins: [db] }).'
          : 'The databases have been closed with their core. Make a new core with a new mikroOrm().'
      return Promise.reject(new ZaskError('ZASK_CORE_STOPPED', message))
    }
    this.#opening ??= this.#openBinds(core).then(
      (binds) => (this.#binds = binds),
      (error: unknown) => {
        this.#opening = undefined
        throw error
      },
    )
    return this.#opening
  }

  async #openBinds({ config, root }: PluginCore<DatabaseShape>): Promise<Map<string, Bind>> {
    adoptOriginalKeys(config)
    const own = Map.groupBy(this.#options.entities, (entity) => bindKeyOf(entity) ?? defaultBind)
    const settings = readBinds(config, this.#options.binds ?? {}, own.has(defaultBind))
    for (const named of [...own.keys(), ...Object.keys(this.#options.binds ?? {})]) {
      if (!settings.has(named)) throw unknownBind(named, settings.keys())
    }
    const binds = new Map<string, Bind>()
    const host = this.#host(root, config)
    try {
      // One after the other: MikroORM writes on the prototypes of entities while it looks at them.
      for (const [name, one] of settings) {
        binds.set(name, await Bind.open(one, own.get(name) ?? [], host, this.#id))
      }
    } catch (error) {
      await Promise.all([...binds.values()].map((bind) => bind.close()))
      throw error
    }
    return binds
  }

  #host(root: string, config: Readonly<DatabaseConfig>): BindHost {
    const { orm = {}, queryTimeoutMs = 60_000, idleTransactionMs = 60_000 } = this.#options
    return {
      root,
      orm,
      queryTimeoutMs: milliseconds(config.DATABASE_QUERY_TIMEOUT) ?? queryTimeoutMs,
      idleTransactionMs: milliseconds(config.DATABASE_IDLE_TRANSACTION_TIMEOUT) ?? idleTransactionMs,
      current: () => this.#current(),
      threw: (error, bind) => {
        if (error instanceof Error) this.#thrown.set(error, bind)
      },
      enabled: () => this.#core?.config.DATABASE_ECHO === true,
      log: () => this.#log(),
      warn: (fields, message) => {
        // Connections that are being closed may still be cut by a server that stops, too.
        if (!this.#closed) this.#core?.log.warn(fields, message)
      },
      discovered: (bind, found) => {
        for (const meta of found) this.#bindOfEntity.set(meta.class, bind)
        refuseForeignRelations(bind, found as never)
      },
    }
  }

  #log(): ReturnType<BindHost['log']> {
    const core = this.#core as PluginCore<DatabaseShape>
    const call = core.currentCall as (Call & { readonly requestId?: unknown }) | undefined
    if (call === undefined) return { log: core.log, fields: {} }
    return { log: call.log, fields: call.requestId === undefined ? {} : { requestId: call.requestId } }
  }
}

function milliseconds(seconds: number | null): number | undefined {
  return seconds === null ? undefined : seconds * 1000
}

function noteFailure(call: Call & Partial<DatabaseAdds>, outcome: Outcome): void {
  const session = (call.db as LiveCallDatabase | undefined)?.opened
  if (session !== undefined && !outcome.ok) session.failed = true
}

/**
 * An entity manager that is always that of the current session, and a function that gives that of a bind. It may be
 * kept, in contrast to a session's own one.
 */
function currentManager(manager: (bind: string) => EntityManager): SessionManager {
  const target = (bind?: string | null): EntityManager => manager(bind ?? defaultBind)
  return new Proxy(target as SessionManager, {
    get(_target, key) {
      const own = manager(defaultBind)
      const value: unknown = Reflect.get(own, key)
      // The private fields of an entity manager are not those of a proxy.
      return typeof value === 'function' ? value.bind(own) : value
    },
    set: (_target, key, value) => Reflect.set(manager(defaultBind), key, value),
    has: (_target, key) => Reflect.has(manager(defaultBind), key),
    getPrototypeOf: () => Reflect.getPrototypeOf(manager(defaultBind)),
  })
}
