export { debugLog } from './debug-log/debug-log.ts'
export type { DebugLogConfig, DebugLogOptions } from './debug-log/debug-log.ts'
export { hookTable } from './debug-log/hook-table.ts'
