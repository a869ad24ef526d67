// What graphql-eslint judges, run where schema.graphql and docs/ stand. Each exception has its reason.
import graphql from "@graphql-eslint/eslint-plugin";

const SCHEMA = "schema.graphql";
const OPERATIONS = "docs/examples/typescript/*.graphql";

function judged(files, rules) {
  return {
    files: [files],
    plugins: { "@graphql-eslint": graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: SCHEMA, documents: OPERATIONS } },
    },
    rules,
  };
}

export default [
  judged(OPERATIONS, graphql.configs["flat/operations-recommended"].rules),
  judged(SCHEMA, {
    ...graphql.configs["flat/schema-recommended"].rules,
    ...graphql.configs["flat/schema-relay"].rules,

    // Pages go forward only: a cursor is a place in an order, and nobody asked for the way back.
    "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],

    // Connections have `nodes` besides `edges`, and what is short by nature (a deployment's pods, labels,
    // facets) is a plain list.
    "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],

    // `Group.groupId` is called as group mappings call it. The rule knows no exceptions.
    "@graphql-eslint/no-typename-prefix": "off",

    // An id is for what `node` finds again: Instance, Deployment, User and the like. All else is part of its
    // parent, or happens once, and has no identity of its own.
    "@graphql-eslint/strict-id-in-types": [
      "error",
      {
        exceptions: {
          suffixes: ["Connection", "Edge", "Event", "Payload"],
          types: [
            "Access",
            "AccessDecision",
            "AuthProviderInfo",
            "Condition",
            "Container",
            "CredentialPosture",
            "CredentialProblem", // by its file's name
            "DeploymentChanges",
            "DeploymentSummary",
            "Endpoint",
            "Facet",
            "Group", // by the identity provider's id; the hub only knows of it
            "Hub", // there is only this one
            "InstanceSource",
            "Label",
            "PageInfo",
            "PhaseCount",
            "Pod", // by Kubernetes' own `uid`; it can't be looked up alone
            "Replicas",
          ],
        },
      },
    ],
  }),
];
