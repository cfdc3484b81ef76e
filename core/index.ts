export { createCore } from './core.ts'
export type { Core } from './core.ts'
export type { Call, Outcome } from './call.ts'
export type { ClientOptions } from './client.ts'
export { Config, defineConfig } from './config.ts'
export type { CoreConfig } from './config.ts'
export type { CurveAllow, CurveClientOptions, CurveServerOptions, ServiceCurve } from './curve.ts'
export { errorCodes, RemoteError, ZaskError } from './errors.ts'
export type { ErrorCode, ZaskErrorOptions } from './errors.ts'
export { quantile } from './histogram.ts'
export type { Bucket } from './histogram.ts'
export type {
  CustomHook,
  EndpointQuery,
  HookReport,
  Hooks,
  ResolvedEndpoint,
  Taps,
  TapRun,
} from './hook-contract.ts'
export { createLogger } from './logger.ts'
export type { Logger } from './logger.ts'
export type { LimitConfig } from './limits.ts'
export { checkOptions } from './options.ts'
export type { EndOptions, OptionRule } from './options.ts'
export type { AddsOf, CallOf, ConfigOf, Plugin, PluginCore, PluginShape, StatsOf } from './plugin.ts'
export type {
  AnyService,
  CallOptions,
  Client,
  ClientEndpoint,
  Remote,
  RemoteStream,
  StreamCall,
} from './remote.ts'
export type { ServerOptions } from './server.ts'
export type { ProcessStats, ServerStats, ServiceStats } from './service-stats.ts'
export type { ServiceOptions } from './service.ts'
export type { CoreLimits, Started, StartOptions } from './start-options.ts'
export type { StatsReport } from './stats.ts'
export type { SeenEvent } from './wire/counters.ts'
export { curveKeyPair, publicKeyOf } from './wire/curve.ts'
export type { CurveKeyPair } from './wire/curve.ts'
