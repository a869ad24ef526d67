// Follow deployments with graphql-sse, where WebSocket can't pass: node build/sse.js TOKEN [ADDRESS]
import { print } from "graphql";
import { createClient } from "graphql-sse";
import { DeploymentEventsDocument, type DeploymentEventsSubscription } from "./generated/graphql.js";

const [token, address = "http://localhost:3001/graphql"] = process.argv.slice(2);

const client = createClient({
  url: address,
  // A function, so that each connection can have a fresh token.
  headers: () => ({ authorization: `Bearer ${token}` }),
  retryAttempts: Infinity,
});

const events = client.iterate<DeploymentEventsSubscription>({
  query: print(DeploymentEventsDocument),
  variables: { filter: { namespaces: ["ml-team"] } },
});
for await (const { data } of events) {
  const event = data?.deploymentEvents;
  console.log(event?.type, event?.deploymentId ?? "", event?.deployment?.phase ?? "");
}
