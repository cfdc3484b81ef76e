/** Writes lines until some are lost, then says so and, told to go on, until none are. */
import { once } from 'node:events'
import { LogFile } from 'zask/plugins/log-file'

const file = new LogFile(process.argv[2] ?? '', {
  rotate: 'none',
  onTrouble: (message) => console.log(message),
})
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10))
let line = 0
while (file.lost === 0) {
  file.write(`line ${line++} ${'x'.repeat(80)} end`)
  await pause()
}
await once(process.stdin, 'data')
for (let lost = -1; lost !== file.lost;) {
  lost = file.lost
  await new Promise((resolve) => setTimeout(resolve, 300))
  file.write(`line ${line++} ${'y'.repeat(80)} end`)
  file.flush()
}
file.close()
console.log(JSON.stringify({ lines: line, lost: file.lost }))
process.exit()
