/** How the explorer reaches the hub: queries and mutations by HTTP, subscriptions by WebSocket. */

import type { Fetcher, FetcherParams, Observable } from "@graphiql/toolkit";
import { getOperationAST } from "graphql";
import {
  createClient,
  type ExecutionResult,
  type FormattedExecutionResult,
  type Sink,
  type SubscribePayload,
} from "graphql-ws";

const ENDPOINT = "/graphql";

type Headers = Readonly<Record<string, string>>;

export const fetcher: Fetcher = (params, options) => {
  const headers = options?.headers ?? {};
  const operation = options?.documentAST && getOperationAST(options.documentAST, params.operationName);
  return operation?.operation === "subscription" ? subscription(params, headers) : post(params, headers);
};

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
  const client = createClient({ url: url.href, connectionParams: lowerCased(headers) });
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

/** Header names are written in any case; the hub looks for `authorization` in connection_init. */
function lowerCased(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
