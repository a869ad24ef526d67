// A query, a mutation and a subscription with urql: node build/urql.js TOKEN [ADDRESS]
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  CreateDeploymentDocument,
  DeploymentEventsDocument,
  DeploymentsDocument,
} from "./generated/graphql.js";

const [token, address = "http://localhost:3001/graphql"] = process.argv.slice(2);
const authorization = `Bearer ${token}`;

const sockets = createClient({
  url: address.replace(/^http/, "ws"),
  webSocketImpl: WebSocket,
  connectionParams: () => ({ authorization }),
  shouldRetry: (problem) => !(problem instanceof Error),
});

const client = new Client({
  url: address,
  fetchOptions: { headers: { authorization } },
  exchanges: [
    fetchExchange,
    // Without it, and with `fetchSubscriptions: true`, subscriptions come as server-sent events.
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});

const { data } = await client.query(DeploymentsDocument, { filter: { namespaces: ["ml-team"] } });
console.log(data?.deployments.totalCount, "deployments");

const input = {
  instanceId: "prod-east",
  namespace: "ml-team",
  name: `urql-${Date.now()}`,
  model: { id: "Qwen/Qwen3-8B" },
};
const create = () => client.mutation(CreateDeploymentDocument, { input });

const filter = { instanceIds: ["prod-east"], name: input.name };
await new Promise<void>((resolve, reject) => {
  client.subscription(DeploymentEventsDocument, { filter }).subscribe(({ data }) => {
    const event = data?.deploymentEvents;
    console.log(event?.type, event?.deploymentId ?? "");
    if (event?.type === "SYNCED") create().then(({ error }) => error && reject(error));
    if (event?.type === "ADDED") resolve();
  });
});

const { error } = await create();
console.log(error?.graphQLErrors[0]?.extensions["code"], error?.message);
await sockets.dispose();
