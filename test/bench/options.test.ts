import { expect } from 'chai'
import { parseOptions } from './options.ts'

function systemsOf(...args: string[]): string[] {
  const options = parseOptions(args)
  return options === 'help' ? [] : options.systems.map(({ name }) => name)
}

describe('the options of the benchmark', () => {
  it('name systems in one list, in several, or in both', () => {
    const three = ['zask', 'raw-zeromq', 'grpc-js']
    expect(systemsOf('--system', 'grpc-js,zask,raw-zeromq')).to.deep.equal(three)
    expect(systemsOf('--system', 'zask', '--system', 'grpc-js', '--system', 'raw-zeromq')).to.deep.equal(
      three,
    )
    expect(systemsOf('--system', 'grpc-js', '--system', 'zask, raw-zeromq')).to.deep.equal(three)
    expect(() => systemsOf('--system', 'zask', '--system', 'corba')).to.throw(/--system names "corba"/)
  })
})
