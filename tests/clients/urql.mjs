// @urql/core.
import { createHash } from "node:crypto";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import {
  headers,
  print,
  query,
  sink,
  socketClient,
  told,
  tracedFetch,
  transport,
  untilDone,
  url,
  variables,
} from "./asked.mjs";

const sockets = socketClient();

const EXCHANGES = {
  WebSocket: [
    subscriptionExchange({
      enableAllOperations: true,
      forwardSubscription: (asked) => ({
        subscribe: (to) => ({ unsubscribe: sockets.subscribe(asked, to) }),
      }),
    }),
  ],
  "HTTP, persisted": [
    persistedExchange({ generateHash: async (text) => createHash("sha256").update(text).digest("hex") }),
    fetchExchange,
  ],
};

const client = new Client({
  url,
  exchanges: EXCHANGES[transport] ?? [fetchExchange],
  fetch: tracedFetch,
  fetchOptions: () => ({ headers: headers() }),
  fetchSubscriptions: transport === "SSE",
  preferGetMethod: transport === "HTTP GET",
});

const [kind] = query.match(/query|mutation|subscription/);
const { unsubscribe } = client[kind](query, variables).subscribe(({ data, error, hasNext }) => {
  if (error) sink.error(error.networkError ?? error.graphQLErrors);
  // urql tells the end of a stream by its last result once more.
  else if (kind === "subscription" && !hasNext) print({ complete: true });
  else told({ data });
});
untilDone(() => {
  unsubscribe();
  sockets.dispose();
});
