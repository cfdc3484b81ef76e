#!/usr/bin/env node
// What `npx zask` runs. It must parse in every Node there is, for it is the one that says that a Node is too old: no
// imports, no syntax of this decade.
var parts = process.versions.node.split('.')
var major = Number(parts[0])
if (major > 22 || (major === 22 && Number(parts[1]) >= 18)) {
  void import('./main.ts')
} else {
  var found = 'Node.js ' + process.versions.node
  console.error('zask: ' + found + ' is too old: zask runs on 22.18 and newer (https://nodejs.org).')
  process.exit(1)
}
