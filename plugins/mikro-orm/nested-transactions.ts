import { type EntityManager, TransactionContext } from '@mikro-orm/core'

/** The transaction that was running where an entity manager was forked. */
const around = new WeakMap<EntityManager, EntityManager>()

/**
 * Makes an entity manager and its forks remember the transaction they were forked in.
 *
 * MikroORM knows the innermost transaction only: within one of bind B within one of bind A, what is done in bind A
 * would be outside of both, and on SQLite, which has one connection, wait for ever.
 */
export function remembering(manager: EntityManager): EntityManager {
  const fork = manager.fork.bind(manager)
  manager.fork = (options) => {
    const made = fork(options)
    const outer = TransactionContext.currentTransactionContext()?.em
    if (outer !== undefined) around.set(made, outer)
    return remembering(made)
  }
  return manager
}

/** The entity manager of the nearest transaction around the running code, of the given context; else undefined. */
export function enclosingTransaction(contextName: string): EntityManager | undefined {
  let manager = TransactionContext.currentTransactionContext()?.em
  while (manager !== undefined && manager.name !== contextName) manager = around.get(manager)
  return manager
}
