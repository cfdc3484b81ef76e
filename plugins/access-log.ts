export { accessLog } from './access-log/access-log.ts'
export type { AccessLog, AccessLogConfig, AccessLogOptions, AccessLogStats } from './access-log/access-log.ts'
export type { AccessFormat } from './access-log/access-line.ts'
