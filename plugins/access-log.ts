export { accessLog } from './access-log/access-log.ts'
export type { AccessLog, AccessLogConfig, AccessLogOptions } from './access-log/access-log.ts'
export type { AccessFormat } from './access-log/access-line.ts'
