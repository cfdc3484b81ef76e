'use strict'
const { appendFileSync } = require('node:fs')
const {
  reporters: { Spec },
} = require('mocha')

/** Mocha's spec report; beside it, one line of JSON for each test into the file that ZASK_FAULTS_RESULTS names. */
module.exports = class extends Spec {
  constructor(runner, options) {
    super(runner, options)
    const path = process.env.ZASK_FAULTS_RESULTS
    if (path === undefined) return
    const note = (test, state) => {
      appendFileSync(path, `${JSON.stringify({ title: test.fullTitle(), file: test.file, state })}\n`)
    }
    runner.on('pass', (test) => note(test, 'passed'))
    runner.on('fail', (test) => note(test, 'failed'))
    runner.on('pending', (test) => note(test, 'left out'))
  }
}
