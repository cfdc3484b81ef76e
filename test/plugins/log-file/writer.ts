/** Writes numbered lines to a shared log file: `node writer.ts PATH NAME LINES [DAY_MS FIRST_MS]`. A day may be short. */
import { LogFile } from 'zask/plugins/log-file'

const [path = '', name = '', lines = '0', dayMs = '0', firstMs = '0'] = process.argv.slice(2)
const shortDay = (timeMs: number): string =>
  new Date(Math.floor((timeMs - Number(firstMs)) / Number(dayMs)) * 86_400_000).toISOString().slice(0, 10)

const file = new LogFile(path, dayMs === '0' ? {} : { dayOf: shortDay, keep: 1000 })
for (let line = 0; line < Number(lines); line++) {
  file.write(`${name} ${line} ${'x'.repeat(60)} end`)
  // Slow enough to live through several moves of the file.
  if (line % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 6))
}
file.close()
console.log(file.lost)
