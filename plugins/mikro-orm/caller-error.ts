import {
  ConstraintViolationException,
  DeadlockException,
  DriverException,
  LockWaitTimeoutException,
  NotFoundError,
  UniqueConstraintViolationException,
  ValidationError,
} from '@mikro-orm/core'
import { ZaskError } from '../../core/index.ts'
import { isUnavailable } from './connection-options.ts'

/** What a remote caller may know of a failure of the database. */
interface Told {
  readonly name: string
  readonly text: string
  /** Whether the same call may succeed in a moment. */
  readonly retryable?: boolean
}

/** Codes of PostgreSQL for a server, a database or a transaction that takes no changes. */
const readOnlyCode = '25006'

/**
 * What is sent to a remote caller in place of an error of MikroORM or of a driver: their messages hold values of rows,
 * SQL, names of columns, hosts and users. The name of the class stays, so that callers can tell a duplicate from an outage.
 *
 * @param reference What the full error is found under in the log.
 * @returns Undefined for what is no error of a database.
 */
export function callerError(error: unknown, reference: string): ZaskError | undefined {
  const told = describe(error)
  if (told === undefined) return undefined
  const { name, text, retryable = false } = told
  return new ZaskError(
    'ZASK_DATABASE_FAILED',
    `${text}. The log of the service has the rest, under call ${reference}.`,
    { name, retryable },
  )
}

function describe(error: unknown): Told | undefined {
  if (error instanceof NotFoundError) {
    // `User not found ({ token: '…' })`: what was looked for is nobody's business.
    return { name: 'NotFoundError', text: /^[\w$.]+ not found/.exec(error.message)?.[0] ?? 'Not found' }
  }
  if (error instanceof ValidationError) {
    const missing = /^Value for [\w$.]+ is required/.exec(error.message)?.[0]
    return { name: error.name, text: missing ?? 'What was given for an entity is not valid' }
  }
  if (!(error instanceof DriverException)) return undefined
  const { name } = error
  if (error instanceof UniqueConstraintViolationException) {
    return { name, text: 'A value that must be unique is taken' }
  }
  if (error instanceof ConstraintViolationException) {
    return { name, text: 'The database refuses the change, because a constraint would not hold' }
  }
  if (error instanceof DeadlockException || error instanceof LockWaitTimeoutException) {
    return { name, text: 'Others were changing the same rows at the same time', retryable: true }
  }
  if (error.code === readOnlyCode) {
    return { name: 'ReadOnlyException', text: 'The database takes no changes', retryable: true }
  }
  if (isUnavailable(error)) {
    return { name: 'ConnectionException', text: 'The database did not answer', retryable: true }
  }
  return { name, text: 'The database could not do what was asked of it' }
}
