import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/** Locks a SQLite file against all writers for a while: `node lock-holder.ts '{ "file": "…", "holdMs": 3000 }'`. */
const { file, holdMs } = JSON.parse(process.argv[2] ?? '') as { file: string; holdMs: number }
const database = new DatabaseSync(file)
database.exec('begin immediate')
console.log('{ "locked": true }')
await sleep(holdMs)
database.exec('rollback')
database.close()
