// A query, a mutation and a subscription with Apollo Client: node build/apollo.js TOKEN [ADDRESS]
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache } from "@apollo/client";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
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
// Sends a hash for a query that the hub knows.
const hashes = createPersistedQueryLink({
  sha256: (text) => createHash("sha256").update(text).digest("hex"),
});
const http = hashes.concat(new HttpLink({ uri: address, headers: { authorization } }));

const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(sockets),
    http,
  ),
  cache: new InMemoryCache(),
});

const { data } = await client.query({
  query: DeploymentsDocument,
  variables: { filter: { namespaces: ["ml-team"] } },
});
console.log(data?.deployments.totalCount, "deployments");

const input = {
  instanceId: "prod-east",
  namespace: "ml-team",
  name: `apollo-${Date.now()}`,
  model: { id: "Qwen/Qwen3-8B" },
};
const create = () => client.mutate({ mutation: CreateDeploymentDocument, variables: { input } });

const variables = { filter: { instanceIds: ["prod-east"], name: input.name } };
await new Promise<void>((resolve, reject) => {
  client.subscribe({ query: DeploymentEventsDocument, variables }).subscribe(({ data }) => {
    const event = data?.deploymentEvents;
    console.log(event?.type, event?.deploymentId ?? "");
    if (event?.type === "SYNCED") create().catch(reject);
    if (event?.type === "ADDED") resolve();
  });
});

try {
  await create();
} catch (error) {
  if (!CombinedGraphQLErrors.is(error)) throw error;
  console.log(error.errors[0]?.extensions?.["code"], error.message);
}
client.stop();
await sockets.dispose();
