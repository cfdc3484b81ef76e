import { expect } from 'chai'
import { createCore, type Plugin } from '../../../core/index.ts'
import { placesOf, servicesOf } from '../../../plugins/cli/places.ts'

function owner(): Plugin<{ config: { ZERORPC_POOL: object } }> {
  return { name: 'owner', defaults: { ZERORPC_POOL: { '1': 'tcp://127.0.0.1:9' } }, apply: () => {} }
}

describe('the places of a config', () => {
  it('are the endpoints of all versions of all services, and nothing that belongs to a plugin', () => {
    const { config } = createCore({ plugins: [owner()] })
    config.fromObject({
      ZERORPC_USERS: {
        '1.0': 'tcp://127.0.0.1:1',
        v2: ['tcp://127.0.0.1:2', 'ipc:///run/u'],
        default: '1.0',
      },
      ZERORPC_LOG: '/tmp/a.log',
      ZERORPC_LIST: ['tcp://127.0.0.1:3'],
      OTHER: { '1.0': 'tcp://127.0.0.1:4' },
    })
    expect(servicesOf(config).map(({ key, versions }) => [key, versions])).to.deep.equal([
      ['ZERORPC_USERS', ['1.0', 'v2']],
    ])
    const [key, service] = ['ZERORPC_USERS', 'users']
    expect(placesOf(config)).to.deep.equal([
      { key, service, version: '1.0', endpoint: 'tcp://127.0.0.1:1' },
      { key, service, version: 'v2', endpoint: 'tcp://127.0.0.1:2' },
      { key, service, version: 'v2', endpoint: 'ipc:///run/u' },
    ])
  })
})
