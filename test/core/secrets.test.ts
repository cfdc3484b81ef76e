import { inspect } from 'node:util'
import { expect } from 'chai'
import { masked, maskUris, shown } from '../../core/secrets.ts'

function compute(): number {
  return 1
}

describe('secrets in config values', () => {
  const secrets: [key: string, value: unknown, text: unknown][] = [
    ['API_KEY', 's3cret', '***'],
    ['API_KEYS', ['s3cret'], '***'],
    ['DB_PASSWORD', 's3cret', '***'],
    ['PASSWORDS', { a: 's3cret' }, '***'],
    ['SECRET', 12345, '***'],
    ['AUTH_TOKEN', 's3cret', '***'],
    ['API_KEY', null, null],
    [
      'ZERORPC_USERS',
      { '1.0': 'tcp://h:1', client_keys: ['s3cret'], access_key: 's3cret', allow_missing_key: true },
      { '1.0': 'tcp://h:1', client_keys: '***', access_key: '***', allow_missing_key: true },
    ],
    [
      'A',
      [{ deep: { apiKey: 's3cret', user_password: 's3cret' } }],
      [{ deep: { apiKey: '***', user_password: '***' } }],
    ],
    ['A', new Map([['token', 's3cret']]), new Map([['token', '***']])],
    ['DATABASE_URI', 'postgres://user:s3cret@host/db', 'postgres://user:***@host/db'],
    [
      'DATABASE_URI',
      'postgresql+psycopg2://user:s3@cr:e/t@host:5/db?a=b',
      'postgresql+psycopg2://user:***@host:5/db?a=b',
    ],
    ['DATABASE_URI', 'redis://:s3cret@host', 'redis://:***@host'],
    ['DATABASE_URI', 'pg://host/db?user=u&password=s3cret&ssl=1', 'pg://host/db?user=u&password=***&ssl=1'],
    ['DATABASE_URI', "host=h password='s3 cret' user=u", 'host=h password=*** user=u'],
    ['DATABASE_BINDS', { users: 'mysql://u:s3cret@h/d' }, { users: 'mysql://u:***@h/d' }],
    ['A', ['one amqp://u:s3cret@h two'], ['one amqp://u:***@h two']],
    ['A', 'tcp://127.0.0.1:4242', 'tcp://127.0.0.1:4242'],
    ['A', 'ipc://@abstract', 'ipc://@abstract'],
    ['A', 'user@example.org', 'user@example.org'],
  ]
  for (const [key, value, text] of secrets) {
    it(`shows ${inspect({ [key]: value }, { depth: 5 })} as ${inspect(text, { depth: 5 })}`, () => {
      expect(masked({ [key]: value })).to.deep.equal({ [key]: text })
    })
  }

  it('names what it cannot look into', () => {
    class Vault {
      password = 's3cret'
    }
    const value = [new Vault(), compute, new Uint8Array(3), new Date(0), 5n]
    expect(masked(value)).to.deep.equal(['[Vault]', '[function compute]', '[3 bytes]', new Date(0), 5n])
  })

  it('masks credentials in the text of a URI that serves as a key', () => {
    expect(masked({ 'pg://u:s3cret@h': 1 })).to.deep.equal({ 'pg://u:***@h': 1 })
  })

  it('leaves the value itself as it is', () => {
    const value = { list: [{ password: 's3cret' }] }
    masked(value)
    expect(value).to.deep.equal({ list: [{ password: 's3cret' }] })
  })

  it('ends where a value holds itself', () => {
    const ring: { self?: unknown } = {}
    ring.self = ring
    expect(masked(ring)).to.deep.equal({ self: '[circular]' })
  })

  it('shows a value in a message on one line of bounded length', () => {
    const text = shown({ a: 'x\ny'.repeat(1000), b: Array.from({ length: 1000 }, () => 'z') })
    expect(text).to.not.contain('\n')
    expect(text.length).to.be.at.most(241)
    expect(shown('s3cret', 'API_KEY')).to.equal("'***'")
  })

  it('masks each URI of a text', () => {
    expect(maskUris('a://u:s3cret@h b://v:s3cret@i')).to.equal('a://u:***@h b://v:***@i')
  })
})
