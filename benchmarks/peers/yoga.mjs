// graphql-yoga behind Node's own server.
import { createServer } from 'node:http'
import { createSchema, createYoga } from 'graphql-yoga'
import { hello, resolvers, typeDefs } from './data.mjs'

const server = createServer(createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false }))
server.listen(0, '127.0.0.1', () => hello(server.address().port))
