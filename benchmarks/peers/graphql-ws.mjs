// graphql-ws: subscribers who each get every event of one topic, as benchmarks.commands has them sent.
import { setMaxListeners } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { useServer } from "graphql-ws/use/ws";
import { createPubSub, createSchema } from "graphql-yoga";
import { WebSocketServer } from "ws";
import { answered, hello, typeDefs } from "./data.mjs";

const { deploymentEvents: event } = answered("event");
const eventTarget = new EventTarget();
setMaxListeners(0, eventTarget);
const topic = createPubSub({ eventTarget });

async function* subscribe() {
  const events = topic.subscribe("event");
  yield { deploymentEvents: { ...event, type: "SYNCED", deploymentId: null, deployment: null } };
  yield* events;
}

const schema = createSchema({ typeDefs, resolvers: { Subscription: { deploymentEvents: { subscribe } } } });
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, path: "/graphql" });
useServer({ schema }, server, 0); // no pings
server.on("listening", () => hello(server.address().port));

const commands = {
  event() {
    const message = String(process.hrtime.bigint()); // the clock that time.monotonic_ns reads
    const deployment = { ...event.deployment, message };
    topic.publish("event", { deploymentEvents: { ...event, deployment } });
    return null;
  },
  usage() {
    const { user, system } = process.cpuUsage();
    return { cpu: (user + system) / 1e6, rss: process.memoryUsage.rss() };
  },
};
createInterface(process.stdin).on("line", (line) => console.log(JSON.stringify(commands[JSON.parse(line).do]())));
