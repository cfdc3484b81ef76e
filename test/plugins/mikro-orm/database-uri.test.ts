import { expect } from 'chai'
import { parseDatabaseUri, shownAddress } from '../../../plugins/mikro-orm/database-uri.ts'

const parse = (uri: string): ReturnType<typeof parseDatabaseUri> =>
  parseDatabaseUri(uri, '/srv/app', 'DATABASE_URI')

describe('the URI of a database', () => {
  const files: [uri: string, file: string][] = [
    ['sqlite://', ':memory:'],
    ['sqlite:///', ':memory:'],
    ['sqlite:///:memory:', ':memory:'],
    ['sqlite:////var/lib/app.db', '/var/lib/app.db'],
    ['sqlite:///app.db', '/srv/app/app.db'],
    ['sqlite:///../data/app.db?timeout=3', '/srv/data/app.db'],
    ['sqlite+pysqlite:////tmp/a@b.db', '/tmp/a@b.db'],
  ]
  for (const [uri, file] of files) {
    it(`${uri} is the SQLite file ${file}`, () => {
      expect(parse(uri)).to.include({ dialect: 'sqlite', dbName: file })
    })
  }

  const schemes: [scheme: string, dialect: string][] = [
    ['postgres', 'postgresql'],
    ['postgresql', 'postgresql'],
    ['postgresql+psycopg2', 'postgresql'],
    ['postgresql+pg8000', 'postgresql'],
    ['mysql', 'mysql'],
    ['mysqldb', 'mysql'],
    ['mysql+pymysql', 'mysql'],
    ['mariadb+mariadbconnector', 'mariadb'],
    ['PostgreSQL', 'postgresql'],
  ]
  for (const [scheme, dialect] of schemes) {
    it(`${scheme}:// is served by the driver of ${dialect}`, () => {
      expect(parse(`${scheme}://shop:secret@db.example.com:5555/orders`)).to.deep.include({
        dialect,
        host: 'db.example.com',
        port: 5555,
        user: 'shop',
        password: 'secret',
        dbName: 'orders',
      })
    })
  }

  it('leaves out what it does not say', () => {
    expect(parse('postgresql://localhost/users')).to.deep.equal({
      dialect: 'postgresql',
      host: 'localhost',
      dbName: 'users',
      parameters: {},
    })
  })

  it('takes percent-encoded and bare passwords alike', () => {
    expect(parse('postgres://u:p%40ss%2F@h/d').password).to.equal('p@ss/')
    expect(parse('postgres://u:p@s/s?:w%@h/d')).to.include({ password: 'p@s/s?:w%', host: 'h', dbName: 'd' })
    expect(parse('postgres://u:@h/d').password).to.equal('')
  })

  it('takes parameters, an IPv6 address, and the folder of a socket as libpq names it', () => {
    expect(parse('postgres://[::1]:5432/d?sslmode=require&application_name=shop')).to.deep.include({
      host: '::1',
      port: 5432,
      parameters: { sslmode: 'require', application_name: 'shop' },
    })
    expect(parse('postgresql:///d?host=/var/run/postgresql').host).to.equal('/var/run/postgresql')
  })

  const wrong: [uri: string, sentence: RegExp][] = [
    ['localhost', /DATABASE_URI is no URI\. Write sqlite:/],
    ['oracle://u:hunter2@h/d', /begins with oracle:\/\/, which no driver/],
    ['sqlite://file.db', /two slashes.*sqlite:\/\/\/relative\.db with three/],
    ['postgresql://u:hunter2@h', /names no database/],
    ['postgresql://u:hunter2@h:port/d', /no host:port\/name/],
  ]
  for (const [uri, sentence] of wrong) {
    it(`${uri} is refused with a sentence that says why, without the password`, () => {
      expect(() => parse(uri))
        .to.throw(sentence)
        .with.property('code', 'ZASK_DATABASE_URI')
      expect(() => parse(uri)).to.not.throw(/hunter2/)
    })
  }

  it('is shown without password and parameters', () => {
    expect(shownAddress(parse('postgres://shop:hunter2@h:1/d?password=hunter2'))).to.equal(
      'postgresql://shop:***@h:1/d',
    )
    expect(shownAddress(parse('mysql://h/d'))).to.equal('mysql://h/d')
    expect(shownAddress(parse('sqlite:////tmp/x.db'))).to.equal('sqlite:////tmp/x.db')
    expect(shownAddress(parse('sqlite://'))).to.equal('sqlite://')
  })
})
