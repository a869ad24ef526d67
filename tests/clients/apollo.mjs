// @apollo/client.
import { createHash } from "node:crypto";
import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  gql,
  HttpLink,
  InMemoryCache,
} from "@apollo/client";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { print as printed } from "graphql";
import { Observable } from "rxjs";
import WebSocket from "ws";
import {
  headers,
  query,
  sink,
  socketClient,
  streamClient,
  told,
  tracedFetch,
  transport,
  untilDone,
  url,
  variables,
} from "./asked.mjs";

// GraphQLWsLink looks at this class, which Node.js has from 22 on.
globalThis.WebSocket ??= WebSocket;

class EventStreamLink extends ApolloLink {
  constructor(streams) {
    super();
    this.streams = streams;
  }

  request({ query: document, variables: given, operationName }) {
    return new Observable((to) =>
      this.streams.subscribe(
        { query: printed(document), variables: given, operationName },
        {
          next: (result) => to.next(result),
          error: (error) => to.error(error),
          complete: () => to.complete(),
        },
      ),
    );
  }
}

const sockets = socketClient();
const streams = streamClient();
const http = new HttpLink({
  uri: url,
  fetch: (address, request) =>
    tracedFetch(address, { ...request, headers: { ...request.headers, ...headers() } }),
  useGETForQueries: transport === "HTTP GET",
});
const persisted = createPersistedQueryLink({
  sha256: (text) => createHash("sha256").update(text).digest("hex"),
  useGETForHashedQueries: true,
});
const LINKS = {
  WebSocket: new GraphQLWsLink(sockets),
  SSE: new EventStreamLink(streams),
  "HTTP, persisted": persisted.concat(http),
};
const client = new ApolloClient({ link: LINKS[transport] ?? http, cache: new InMemoryCache() });

// Apollo adds __typename to what it asks for; the tests say what they ask for.
const own = (data) =>
  JSON.parse(JSON.stringify(data, (key, value) => (key === "__typename" ? undefined : value)));
const answered = ({ data, error }) => (error ? failed(error) : told({ data: own(data) }));
const failed = (error) => sink.error(CombinedGraphQLErrors.is(error) ? error.errors : error);

const document = gql(query);
const { operation } = document.definitions.find(({ kind }) => kind === "OperationDefinition");
if (operation === "subscription") {
  client
    .subscribe({ query: document, variables })
    .subscribe({ next: answered, error: failed, complete: sink.complete });
} else if (operation === "mutation") {
  client.mutate({ mutation: document, variables }).then(answered, failed);
} else {
  client.query({ query: document, variables }).then(answered, failed);
}
untilDone(() => {
  client.stop();
  sockets.dispose();
  streams.dispose();
});
