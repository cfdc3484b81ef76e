/** What a new project is called, in each place that needs a name. */
export interface ProjectNames {
  /** Of the package and its folder: `my-shop`. */
  readonly package: string
  /** Of the service, as it stands in config keys, too: `my_shop`. */
  readonly service: string
  /** Of its class: `MyShop`. */
  readonly class: string
}

/** What the new project depends on, by package. */
export interface ProjectVersions {
  readonly zask: string
  readonly node: string
  readonly typescript: string
  readonly nodeTypes: string
}

export function projectNames(name: string): ProjectNames {
  const pascal = name.replaceAll(/(?:^|[-_])([a-z\d])/g, (_, letter: string) => letter.toUpperCase())
  return {
    package: name,
    service: name.replaceAll('-', '_'),
    // A class Promise or String would hide what the language means by it.
    class: Object.hasOwn(globalThis, pascal) ? `${pascal}Service` : pascal,
  }
}

/** The files of a new project, by name. */
export function projectFiles(names: ProjectNames, versions: ProjectVersions): ReadonlyMap<string, string> {
  return new Map([
    ['package.json', manifest(names, versions)],
    ['tsconfig.json', compilerOptions],
    ['.gitignore', 'node_modules/\n*.log\n'],
    ['app.ts', application(names)],
    ['app.test.ts', test(names)],
  ])
}

function manifest({ package: name }: ProjectNames, versions: ProjectVersions): string {
  const text = JSON.stringify(
    {
      name,
      version: '0.1.0',
      private: true,
      // npm asks which packages may run a script when they are installed: the native part of ZeroMQ needs it.
      allowScripts: { zeromq: true, 'dtrace-provider': false },
      type: 'module',
      engines: { node: versions.node },
      scripts: {
        start: 'zask start app.ts',
        dev: 'zask start app.ts --watch',
        test: 'tsc && node --test',
      },
      dependencies: { zask: versions.zask },
      devDependencies: { '@types/node': versions.nodeTypes, typescript: versions.typescript },
    },
    null,
    2,
  )
  return `${text}\n`
}

/** Node runs the files as they are: what it cannot strip is refused here, and nothing is compiled. */
const compilerOptions = `{
  "compilerOptions": {
    "target": "es2024",
    "lib": ["es2024", "esnext.array", "esnext.disposable"],
    "module": "nodenext",
    "types": ["node"],
    "noEmit": true,
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "verbatimModuleSyntax": true,
    "erasableSyntaxOnly": true,
    "allowImportingTsExtensions": true,
    "skipLibCheck": true
  }
}
`

function application({ service, class: type }: ProjectNames): string {
  return `import { createCore } from 'zask'
import { accessLog } from 'zask/plugins/access-log'
import { endpoints } from 'zask/plugins/endpoints'
import { headers } from 'zask/plugins/headers'

/** The list of plugins is the application. */
export const core = createCore({ root: import.meta.dirname, plugins: [endpoints(), headers(), accessLog()] })

core.config.fromObject({
  ZERORPC_${service.toUpperCase()}: { '1.0': 'tcp://127.0.0.1:4242', default: '1.0', access_key: null },
})
core.config.fromPrefixedEnv() // ZASK_DEBUG=false

/** A service is a plain class: its public methods can be called. */
export class ${type} {
  static readonly service = '${service}'
  static readonly version = '1.0'

  /** Greets somebody. */
  hello(name = 'World') {
    return \`Hello, \${name}!\`
  }

  /** Counts down to 1. A generator is a stream. */
  *countdown(from: number) {
    for (let left = from; left > 0; left--) yield left
  }
}
`
}

function test({ class: type }: ProjectNames): string {
  const module = './app.ts'
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testCore } from 'zask/testing'
import { ${type} } from '${module}'

test('greets by name', async () => {
  await using served = await testCore({ services: [new ${type}()] })
  assert.equal(await served.client.hello('Ann'), 'Hello, Ann!')
})

test('counts down to 1', async () => {
  await using served = await testCore({ services: [new ${type}()] })
  assert.deepEqual(await Array.fromAsync(served.client.countdown(3)), [3, 2, 1])
})
`
}
