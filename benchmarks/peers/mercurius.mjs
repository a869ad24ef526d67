// fastify and mercurius, each document compiled by graphql-jit once it was executed.
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { hello, resolvers, typeDefs } from './data.mjs'

const app = Fastify()
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1 })
await app.listen({ host: '127.0.0.1', port: 0 })
hello(app.server.address().port)
