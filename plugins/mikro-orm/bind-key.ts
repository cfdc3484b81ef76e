import { defineEntity, EntitySchema } from '@mikro-orm/core'

/** Keys by entity. What is kept here lives as long as the entity does. */
const keys = new WeakMap<object, string>()

/**
 * `defineEntity` for the entities of one bind, with all its types.
 *
 * ```ts
 * const defineUsersEntity = entityFor('users')
 * const User = defineUsersEntity({ name: 'User', properties: { id: p.integer().primary() } })
 * ```
 */
export function entityFor(bind: string): typeof defineEntity {
  // Not a wrapper `entityFor(bind, defineEntity(…))`: TypeScript gives up inference there on circular relations.
  const define = (meta: never): object => bindKey(bind, defineEntity(meta))
  return Object.assign(define, { properties: defineEntity.properties }) as unknown as typeof defineEntity
}

/**
 * Says which bind an entity belongs to, an `EntitySchema` or a class, and returns it: `bindKey('users', User)`.
 * A class may say it by itself: `static readonly bindKey = 'users'`.
 */
export function bindKey<T extends object>(bind: string, entity: T): T {
  keys.set(entity, bind)
  // A schema makes a class of its own where it is given none, and MikroORM's metadata knows that class only.
  const made = EntitySchema.is(entity) ? (entity.meta.class as object | undefined) : undefined
  if (made !== undefined) keys.set(made, bind)
  return entity
}

/** The bind an entity names, undefined for the default one. Takes what MikroORM takes for an entity. */
export function bindKeyOf(entity: object): string | undefined {
  const own = keys.get(entity)
  if (own !== undefined) return own
  if (EntitySchema.is(entity)) {
    const { class: made } = entity.meta as { class?: object }
    return made === undefined ? undefined : (keys.get(made) ?? ownKey(made))
  }
  if (typeof entity !== 'function') return undefined
  const schema = EntitySchema.REGISTRY.get(entity as never)
  return ownKey(entity) ?? (schema === undefined ? undefined : keys.get(schema))
}

function ownKey(made: object): string | undefined {
  const said = (made as { readonly bindKey?: unknown }).bindKey
  return typeof said === 'string' ? said : undefined
}
