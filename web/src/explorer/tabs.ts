/** What a first visitor finds ready to run. */

import type { GraphiQLProps } from "graphiql";

const MODEL = { instanceId: "prod-east", namespace: "ml-team", name: "my-first-model" };

const json = (value: unknown) => JSON.stringify(value, null, 2);

export const TABS: NonNullable<GraphiQLProps["defaultTabs"]> = [
  {
    query: `# The clusters that you may see, and how they are.
query Instances {
  instances {
    totalCount
    nodes {
      id
      status
      statusReason
      kubernetesVersion
      nodeCount
      deploymentCount
      namespaces
      viewerCan
    }
  }
}
`,
  },
  {
    query: `# The models on all of them. What was last seen
# of a cluster that is away is marked stale.
query Deployments {
  deployments(first: 50) {
    totalCount
    nodes {
      id
      modelId
      engine
      phase
      message
      replicas { desired ready available }
      gpuCount
      stale
    }
    sources { instanceId status stale syncedAt error }
  }
}
`,
  },
  {
    query: `# Counts over everything that you may see.
query Summary {
  deploymentSummary {
    total
    unhealthy
    gpus
    phases { phase count }
    instances { value count unhealthy gpus }
    models { value count }
  }
}
`,
  },
  {
    query: `# Live: what stands, SYNCED for each cluster, then
# every change. Run it in a second window while
# you run Deploy and Delete in this one.
subscription Watch {
  deploymentEvents {
    type
    instanceId
    observedAt
    deployment {
      id
      phase
      message
      replicas { desired ready }
    }
  }
}
`,
  },
  {
    query: `# A model with one GPU, in ml-team on prod-east.
# It needs the role deployer there.
mutation Deploy($input: CreateDeploymentInput!) {
  createDeployment(input: $input) {
    deployment { id phase uid }
    warnings
  }
}
`,
    variables: json({
      input: {
        ...MODEL,
        model: { id: "Qwen/Qwen3-0.6B" },
        engine: { type: "VLLM" },
        resources: { gpu: { count: 1 } },
        dryRun: false,
      },
    }),
  },
  {
    query: `# Removes the model that Deploy made.
mutation Delete($input: DeleteDeploymentInput!) {
  deleteDeployment(input: $input) {
    deletedDeploymentId
    deployment { phase }
  }
}
`,
    variables: json({ input: MODEL }),
  },
];
