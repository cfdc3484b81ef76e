import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import {
  type Command,
  type CommandLine,
  escapeControls,
  exitCodes,
  json,
  Misuse,
  textsOption,
} from '../command.ts'
import type { Bind } from './bind.ts'
import { createMigration, migrate, pendingMigrations, seed } from './schema-changes.ts'
import { defaultBind } from './settings.ts'

/** What the command asks of the plugin. */
export interface DbCommandHost {
  /** The binds of these names, or all of them; opens what is not open. */
  chosen(names: readonly string[] | undefined): Promise<Bind[]>
}

/** What was done to one bind. All but `says` is for programs. */
interface Report {
  /** Without the name of the bind, one line each. */
  readonly says: readonly string[]
  readonly [fact: string]: unknown
}

type Action = (bind: Bind, line: CommandLine) => Promise<Report>

/** `zask db`: what the application's databases need before and between the times it runs. */
export function dbCommand(host: DbCommandHost): Command {
  return {
    usage: '<create|drop|migrate|seed|status> [seeders...]',
    says: 'make, drop, migrate, fill or look at the databases of an application',
    more: `create    make the tables that are missing, and the database, where the server has none
drop      drop the tables of the entities, and what is known of migrations
migrate   run the migrations that have not run; or take the last back, or write a new one
seed      run seeders, by default DatabaseSeeder
status    show what answers, which tables are missing, which migrations have not run

Without --bind it is done to all binds, one after the other; one that fails does not keep it from the others.`,
    options: {
      bind: {
        type: 'string',
        multiple: true,
        value: '<name>',
        says: `only this bind, ${defaultBind} being that of DATABASE_URI; may be given several times`,
      },
      create: {
        type: 'string',
        value: '<name>',
        says: 'migrate: write a migration of what entities have changed',
      },
      down: { type: 'boolean', says: 'migrate: take back the migration that ran last' },
      yes: { type: 'boolean', says: 'drop: do not ask' },
    },
    least: 1,
    most: 50,
    run: (line) => run(host, line),
  }
}

async function run(host: DbCommandHost, line: CommandLine): Promise<number | void> {
  const [name = '', ...words] = line.words
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (action === undefined) {
    throw new Misuse(`zask db does ${Object.keys(actions).join(', ')}, and not '${name}'.`)
  }
  refuseStray(name, words, line)
  const names = textsOption(line, 'bind')
  const binds = await host.chosen(names.length > 0 ? names : undefined)
  const width = Math.max(...binds.map(({ settings }) => settings.name.length))
  if (name === 'drop' && !(await confirmed(binds, line, width))) {
    return line.terminal.signal.aborted ? exitCodes.interrupted : exitCodes.failed
  }
  let code: number = exitCodes.done
  for (const bind of binds) {
    if (line.terminal.signal.aborted) return exitCodes.interrupted
    const failed = await attempt(bind, name, action, line, width)
    // An outage is told from the rest only where there is nothing else to tell.
    if (failed !== undefined) code = code === exitCodes.failed ? code : failed
  }
  return code
}

/** An option of one action that stands behind another means something else than its user thinks. */
function refuseStray(name: string, words: readonly string[], { options }: CommandLine): void {
  const owners: readonly [option: string, action: string][] = [
    ['create', 'migrate'],
    ['down', 'migrate'],
    ['yes', 'drop'],
  ]
  const stray = owners.find(([option, action]) => options[option] !== undefined && action !== name)
  if (stray !== undefined) throw new Misuse(`--${stray[0]} belongs to zask db ${stray[1]}.`)
  if (options['create'] !== undefined && options['down'] === true) {
    throw new Misuse('--create and --down do not go together.')
  }
  if (words.length > 0 && name !== 'seed') {
    throw new Misuse(`zask db ${name} takes no further words: write --bind ${words[0]} for one bind.`)
  }
}

/** @returns The exit code of a failure, undefined where there was none. */
async function attempt(
  bind: Bind,
  name: string,
  action: Action,
  line: CommandLine,
  width: number,
): Promise<number | undefined> {
  const { terminal, asJson } = line
  const common = { bind: bind.settings.name, action: name, database: bind.shown }
  try {
    const { says, ...facts } = await action(bind, line)
    const label = bind.settings.name.padEnd(width)
    if (asJson) terminal.write(`${json({ ...common, ...facts })}\n`)
    else for (const text of says) terminal.write(`${label}   ${escapeControls(text)}\n`)
    return undefined
  } catch (error) {
    if (error instanceof Misuse) throw error
    const told = await bind.explained(error)
    if (asJson) terminal.write(`${json({ ...common, error: told.message, code: told.code })}\n`)
    terminal.complain(`zask: ${escapeControls(told.message)} (${told.code})\n`)
    return told.code === 'ZASK_DATABASE_UNREACHABLE' ? exitCodes.noAnswer : exitCodes.failed
  }
}

const actions: Readonly<Record<string, Action>> = {
  async create(bind) {
    const tables = await bind.createAll()
    return { tables, says: [tables.length === 0 ? 'has all its tables' : `made ${tables.join(', ')}`] }
  },

  async drop(bind) {
    const tables = await bind.dropAll({ migrations: true })
    return { tables, says: [tables.length === 0 ? 'has none of its tables' : `dropped ${tables.join(', ')}`] }
  },

  async migrate(bind, { options }) {
    const { create } = options
    if (typeof create === 'string') {
      const file = await createMigration(bind, create)
      const says =
        file === undefined ? 'is as its entities say: there is nothing to migrate' : `wrote ${file}`
      return { file: file ?? null, says: [says] }
    }
    const down = options['down'] === true
    const migrations = await migrate(bind, down)
    const none = down ? 'has no migration to take back' : 'has no migration to run'
    const verb = down ? 'took back' : 'ran'
    return { migrations, says: migrations.length === 0 ? [none] : migrations.map((one) => `${verb} ${one}`) }
  },

  async seed(bind, { words }) {
    const seeders = await seed(bind, words.slice(1))
    return { seeders, says: seeders.length === 0 ? ['has no seeders'] : seeders.map((one) => `ran ${one}`) }
  },

  async status(bind) {
    const ping = await bind.ping()
    if (!ping.ok) throw ping.error
    const there = await bind.tables()
    const missing = bind.ownTables.filter((table) => !there.has(table))
    const pending = await pendingMigrations(bind)
    const says = [
      `${bind.shown} answers in ${ping.ms.toFixed(0)} ms`,
      missing.length === 0 ? 'has all its tables' : `is without ${missing.join(', ')}`,
      ...(pending === null ? [] : [pending.length === 0 ? 'migrated' : `to migrate: ${pending.join(', ')}`]),
    ]
    return { ms: ping.ms, missing, pending, says: [says.join(', ')] }
  },
}

/** Whether the user means it. */
async function confirmed(
  binds: readonly Bind[],
  { options, terminal }: CommandLine,
  width: number,
): Promise<boolean> {
  if (options['yes'] === true) return true
  const { stdin, stderr } = process
  if (!stdin.isTTY || !terminal.live) {
    throw new Misuse('zask db drop loses all that is in the tables: add --yes where nobody can be asked.')
  }
  for (const { settings, shown } of binds) terminal.complain(`${settings.name.padEnd(width)}   ${shown}\n`)
  // As a plain terminal: there Ctrl-C is the signal that the command line knows.
  const reader = createInterface({ input: stdin, output: stderr, terminal: false })
  try {
    const { signal } = terminal
    const asked = reader.question('Drop their tables, with all that is in them? (yes/no) ', { signal })
    // Ctrl-D ends the input, and no answer comes.
    const ended = once(reader, 'close').then(() => 'no')
    return /^y(es)?$/i.test((await Promise.race([asked, ended])).trim())
  } catch (error) {
    if (terminal.signal.aborted) return false
    throw error
  } finally {
    reader.close()
  }
}
