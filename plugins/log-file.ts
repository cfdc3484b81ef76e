export { checkLogOptions } from './log-file/check.ts'
export { LogFile } from './log-file/log-file.ts'
export type { LogFileOptions } from './log-file/log-file.ts'
export { StandardOutput } from './log-file/standard-output.ts'
