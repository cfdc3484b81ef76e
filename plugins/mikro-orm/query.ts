import {
  type EntityManager,
  type FilterQuery,
  type FindOptions,
  type Loaded,
  NotFoundError,
  type Primary,
  Utils,
} from '@mikro-orm/core'

/** What a query has gathered so far. */
interface Gathered {
  readonly where: readonly object[]
  readonly options: Pick<FindOptions<object>, 'orderBy' | 'limit' | 'offset'>
}

/**
 * Finders of one entity in the manner of Flask-SQLAlchemy's `Model.query`, in the current session of the entity's
 * bind. Immutable: each step is a new query.
 *
 * ```ts
 * await db.query(User).filterBy({ active: true }).orderBy({ username: 'asc' }).limit(10).all()
 * ```
 */
export class Query<T extends object> {
  readonly #entity: object
  readonly #manager: () => EntityManager
  readonly #gathered: Gathered

  constructor(entity: object, manager: () => EntityManager, gathered: Gathered = { where: [], options: {} }) {
    this.#entity = entity
    this.#manager = manager
    this.#gathered = gathered
  }

  /** Narrows the result; several of them must all hold. Takes MikroORM's conditions. */
  filterBy(where: FilterQuery<NoInfer<T>> & object): Query<T> {
    return this.#with({ where: [...this.#gathered.where, where] })
  }

  orderBy(order: NonNullable<FindOptions<T>['orderBy']>): Query<T> {
    return this.#with({ options: { ...this.#gathered.options, orderBy: order } })
  }

  limit(limit: number): Query<T> {
    return this.#with({ options: { ...this.#gathered.options, limit } })
  }

  offset(offset: number): Query<T> {
    return this.#with({ options: { ...this.#gathered.options, offset } })
  }

  /** The entity with this primary key, or null. One that the session has loaded costs no query. */
  get(id: Primary<T>): Promise<Loaded<T> | null> {
    return this.#manager().findOne(this.#entity as never, id as never)
  }

  all(): Promise<Loaded<T>[]> {
    const found = this.#manager().find(this.#entity as never, this.#where, this.#gathered.options)
    return found as Promise<unknown> as Promise<Loaded<T>[]>
  }

  async first(): Promise<Loaded<T> | null> {
    const [found] = await this.limit(1).all()
    return found ?? null
  }

  /** The first one; MikroORM's `NotFoundError` where there is none. */
  async firstOrFail(): Promise<Loaded<T>> {
    const found = await this.first()
    if (found !== null) return found
    throw NotFoundError.findOneFailed(Utils.className(this.#entity as never), this.#where)
  }

  count(): Promise<number> {
    return this.#manager().count(this.#entity as never, this.#where)
  }

  get #where(): object {
    const { where } = this.#gathered
    return where.length === 1 ? (where[0] as object) : where.length === 0 ? {} : { $and: where }
  }

  #with(more: Partial<Gathered>): Query<T> {
    return new Query<T>(this.#entity, this.#manager, { ...this.#gathered, ...more })
  }
}
