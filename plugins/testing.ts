export { pluginContract } from './testing/plugin-contract.ts'
export type { PluginContractOptions } from './testing/plugin-contract.ts'
export { testCore } from './testing/test-core.ts'
export type { TestCore, TestCoreOptions } from './testing/test-core.ts'
