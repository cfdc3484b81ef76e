#!/usr/bin/env node
// What `npx zask` runs. It must parse in every Node there is, for it is the one that says that a Node is too old: no
// imports, no syntax of this decade.
var parts = process.versions.node.split('.')
var major = Number(parts[0])
if (major > 22 || (major === 22 && Number(parts[1]) >= 18)) {
  // Where ZeroMQ does not load nothing of zask does, `zask doctor` included.
  import('./main.ts').then(undefined, function (error) {
    console.error(error)
    if (/zeromq|addon\.node/.test(String(error && error.stack))) {
      console.error('zask: the native part of ZeroMQ does not load on this machine. Run npm rebuild zeromq,')
      console.error('and do not copy node_modules between systems.')
    }
    process.exitCode = 1
  })
} else {
  var found = 'Node.js ' + process.versions.node
  console.error('zask: ' + found + ' is too old: zask runs on 22.18 and newer (https://nodejs.org).')
  process.exit(1)
}
