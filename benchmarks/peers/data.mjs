// What every peer serves: the hub's own schema, and for each size of page the connection that the hub answered.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const [schemaFile, answers] = process.argv.slice(2)

export const typeDefs = readFileSync(schemaFile, 'utf8')

const pages = new Map()
for (const file of readdirSync(answers)) {
  const { deployments } = JSON.parse(readFileSync(join(answers, file), 'utf8')).data
  pages.set(deployments.nodes.length, deployments)
}

export const resolvers = {
  Query: { deployments: (_, { first }) => pages.get(first) }
}

// The first line of output is for benchmarks.processes; the process ends with its standard input.
export function hello (port) {
  console.log(JSON.stringify({ port }))
  process.stdin.resume().on('end', () => process.exit())
}
