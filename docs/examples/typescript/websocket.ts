// Follow deployments with graphql-ws, through restarts of the hub: node build/websocket.js TOKEN [ADDRESS]
import { print } from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { DeploymentEventsDocument, type DeploymentEventsSubscription } from "./generated/graphql.js";

const [token, address = "ws://localhost:3001/graphql"] = process.argv.slice(2);

const client = createClient({
  url: address,
  webSocketImpl: WebSocket, // browsers, and Node.js from 22 on, have one of their own
  // A function, so that each connection can have a fresh token: after the close code 4403 comes another.
  connectionParams: () => ({ authorization: `Bearer ${token}` }),
  retryAttempts: Infinity,
  // Also while the hub can't be reached, but not after an error of our own. What is final, as 4401 (no good
  // credential), is never tried again.
  shouldRetry: (problem) => !(problem instanceof Error),
});

const events = client.iterate<DeploymentEventsSubscription>({
  query: print(DeploymentEventsDocument),
  variables: { filter: { namespaces: ["ml-team"] } },
});
for await (const { data } of events) {
  const event = data?.deploymentEvents;
  console.log(event?.type, event?.deploymentId ?? "", event?.deployment?.phase ?? "");
}
