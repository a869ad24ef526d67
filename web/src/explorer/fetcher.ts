/** How the explorer reaches the hub: queries and mutations by HTTP, subscriptions by WebSocket. */

import type { Fetcher, FetcherParams, Observable } from "@graphiql/toolkit";
import { getOperationAST, parse, type OperationDefinitionNode } from "graphql";
import {
  createClient,
  type ExecutionResult,
  type FormattedExecutionResult,
  type Sink,
  type SubscribePayload,
} from "graphql-ws";

const ENDPOINT = "/graphql";

type Headers = Readonly<Record<string, string>>;

/** `onSignedOut` is called when the hub no longer knows the person by their cookie. */
export function createFetcher(onSignedOut: () => void): Fetcher {
  return async (asked, options) => {
    const headers = lowerCased(options?.headers ?? {});
    const operation = chosen(asked);
    const params = { ...asked, operationName: operation?.name?.value ?? null };
    if (operation?.operation === "subscription") return subscription(params, headers);
    const result = await post(params, headers);
    const unknown = result.errors?.some((error) => error.extensions?.["code"] === "UNAUTHENTICATED");
    if (unknown && !("authorization" in headers)) onSignedOut();
    return result;
  };
}

/**
 * The operation to run. GraphiQL learns a little late what another tab holds: its operation name, and the
 * document in the fetcher's options, may still be those of the tab before.
 */
function chosen({ query, operationName }: FetcherParams): OperationDefinitionNode | null {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? null;
  } catch {
    return null; // The hub says what is wrong with it.
  }
}

/** Header names are written in any case; the hub looks for `authorization` in connection_init. */
function lowerCased(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

async function post(params: FetcherParams, headers: Headers): Promise<ExecutionResult> {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...headers },
    body: JSON.stringify(params),
  });
  const body = await response.text();
  try {
    return JSON.parse(body) as ExecutionResult;
  } catch {
    throw new Error(`The hub answered ${response.status}: ${body}`);
  }
}

/** One connection a subscription: it ends with it, and the next one takes the cookie and headers of then. */
function subscription(params: FetcherParams, headers: Headers): Observable<ExecutionResult> {
  const url = new URL(ENDPOINT, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const client = createClient({ url: url.href, connectionParams: headers });
  const subscribe = (sink: Sink<FormattedExecutionResult>) => ({
    unsubscribe: client.subscribe(params as SubscribePayload, {
      ...sink,
      error: (reason) => sink.error(reason instanceof CloseEvent ? closed(reason) : reason),
    }),
  });
  return { subscribe } as Observable<ExecutionResult>;
}

function closed({ code, reason }: CloseEvent): Error {
  return new Error(`The hub closed the connection: ${code} ${reason}`.trimEnd());
}
