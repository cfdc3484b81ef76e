export { debugLog } from './debug-log/debug-log.ts'
export type { DebugLog, DebugLogConfig, DebugLogOptions, DebugLogStats } from './debug-log/debug-log.ts'
export { hookTable } from './debug-log/hook-table.ts'
