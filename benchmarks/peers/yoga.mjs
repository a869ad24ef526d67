// graphql-yoga behind Node's own server.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { hello, lists, typeDefs } from "./data.mjs";

const schema = createSchema({ typeDefs, resolvers: lists("list", "page") });
const server = createServer(createYoga({ schema, logging: false }));
server.listen(0, "127.0.0.1", () => hello(server.address().port));
