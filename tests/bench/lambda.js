// The Lambda that the job replaces: a Firehose transformation. One request a line on stdin, one answer a line on stdout:
// {"load": FILE}, JSON documents a line, one a record; {"run": true}, all of them in batches of 100; {"write": FILE}.
'use strict'
const fs = require('fs')
const readline = require('readline')
const flatten = require('flat')

const BATCH = 100
let events = []

function handler (event) {
  return {
    records: event.records.map(({ recordId, data }) => {
      const document = JSON.parse(Buffer.from(data, 'base64').toString('utf8'))
      if (document.event_value) document.event_value = JSON.parse(document.event_value)
      const line = JSON.stringify(flatten(document, { delimiter: '_' })) + '\n'
      return { recordId, result: 'Ok', data: Buffer.from(line, 'utf8').toString('base64') }
    })
  }
}

function load (file) {
  const records = fs.readFileSync(file, 'utf8').trimEnd().split('\n')
    .map((line, place) => ({ recordId: String(place), data: Buffer.from(line, 'utf8').toString('base64') }))
  events = []
  for (let at = 0; at < records.length; at += BATCH) events.push({ records: records.slice(at, at + BATCH) })
  return { records: records.length }
}

function run () {
  const before = process.cpuUsage()
  for (const event of events) handler(event)
  const { user, system } = process.cpuUsage(before)
  return { cpu_s: (user + system) / 1e6 }
}

function write (file) {
  const lines = events.flatMap(event => handler(event).records.map(({ data }) => Buffer.from(data, 'base64')))
  fs.writeFileSync(file, Buffer.concat(lines))
  return { records: lines.length }
}

readline.createInterface({ input: process.stdin }).on('line', line => {
  const request = JSON.parse(line)
  const answer = request.load ? load(request.load) : request.write ? write(request.write) : run()
  console.log(JSON.stringify(answer))
})
