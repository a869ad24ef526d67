// fastify with mercurius, where graphql-jit compiles a document that was executed once.
import Fastify from "fastify";
import mercurius from "mercurius";
import { hello, lists, typeDefs } from "./data.mjs";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers: lists("list", "page"), jit: 1 });
await app.listen({ host: "127.0.0.1", port: 0 });
hello(app.server.address().port);
