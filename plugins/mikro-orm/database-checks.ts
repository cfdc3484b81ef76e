import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Finding } from '../command.ts'
import { type Bind, reason } from './bind.ts'
import { shownAddress } from './database-uri.ts'

/** For `zask doctor`: whether each database answers. A file of SQLite that is not there yet is not made for it. */
export async function checkBinds(binds: Iterable<Bind>): Promise<Finding[]> {
  return Promise.all([...binds].map(checkBind))
}

async function checkBind(bind: Bind): Promise<Finding> {
  const { name, key, address } = bind.settings
  const { dialect, dbName } = address
  const isFile = dialect === 'sqlite' && dbName !== ':memory:'
  if (isFile && !(await allowed(dbName, constants.F_OK))) return checkFolder(name, dbName)
  const ping = await bind.ping()
  const place = `database ${name}: ${shownAddress(address)}`
  if (ping.ok) return { state: 'ok', says: `${place} answers` }
  return {
    state: 'problem',
    says: `${place} does not answer: ${reason(ping.error)}`,
    fix: isFile
      ? `Let the user of the service read and write ${dbName}, if it is a database.`
      : `Is it running, and are host, port, user and password of ${key} right?`,
  }
}

async function checkFolder(name: string, file: string): Promise<Finding> {
  const folder = dirname(file)
  if (await allowed(folder, constants.W_OK)) {
    return { state: 'ok', says: `database ${name}: ${file} is not there yet, and can be made` }
  }
  return {
    state: 'problem',
    says: `database ${name}: the folder ${folder} is not there, or cannot be written`,
    fix: `Make it, mkdir -p ${folder}, or let the user of the service write there.`,
  }
}

function allowed(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}
