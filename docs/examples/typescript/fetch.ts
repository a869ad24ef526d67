// Page through deployments and create one, with nothing but fetch: node build/fetch.js TOKEN [ADDRESS]
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { CreateDeploymentDocument, DeploymentsDocument, type DeploymentsQuery } from "./generated/graphql.js";

const [token, address = "http://localhost:3001/graphql"] = process.argv.slice(2);

interface Answer<Data> {
  data?: Data | null;
  errors?: { message: string; extensions: { code: string; requestId: string } }[];
}

class HubError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function ask<Data, Variables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as Answer<Data>;
  const [error] = errors ?? [];
  if (error) throw new HubError(error.extensions.code, error.message);
  return data as Data;
}

async function* deployments(instanceId: string) {
  let after: string | null = null;
  do {
    const page: DeploymentsQuery = await ask(DeploymentsDocument, {
      filter: { instanceIds: [instanceId] },
      after,
    });
    yield* page.deployments.nodes;
    after = page.deployments.pageInfo.hasNextPage ? page.deployments.pageInfo.endCursor : null;
  } while (after);
}

for await (const { id, phase } of deployments("prod-east")) console.log(phase, id);

const input = {
  instanceId: "prod-east",
  namespace: "ml-team",
  name: `fetch-${Date.now()}`,
  model: { id: "Qwen/Qwen3-8B" },
};
const created = await ask(CreateDeploymentDocument, { input });
console.log("created", created.createDeployment?.deployment.id);

try {
  await ask(CreateDeploymentDocument, { input });
} catch (error) {
  if (!(error instanceof HubError)) throw error;
  console.log(error.code, error.message);
}
