/** How the explorer reaches the hub: queries and mutations by HTTP, subscriptions by WebSocket. */

import type { Fetcher, FetcherParams, Observable } from "@graphiql/toolkit";
import { getOperationAST, parse, type GraphQLFormattedError, type OperationDefinitionNode } from "graphql";
import {
  createClient,
  type ExecutionResult,
  type FormattedExecutionResult,
  type Sink,
  type SubscribePayload,
} from "graphql-ws";
import { renewSession } from "../session";

const ENDPOINT = "/graphql";
const NOT_SIGNED_IN = 4401;
const EXPIRED = 4403;

type Headers = Readonly<Record<string, string>>;
type Errors = readonly Pick<GraphQLFormattedError, "extensions">[];

/** `onSignedOut` is called when the hub no longer knows the person by their cookie. */
export function createFetcher(onSignedOut: () => void): Fetcher {
  return async (asked, options) => {
    const headers = lowerCased(options?.headers ?? {});
    const operation = chosen(asked);
    const params = { ...asked, operationName: operation?.name?.value ?? null };
    if (operation?.operation === "subscription") return subscription(params, headers, onSignedOut);
    const began = Date.now();
    let result = await post(params, headers);
    if (!isByCookie(headers) || !isRefusal(result.errors)) return result;
    if (await renewSession(began)) result = await post(params, headers);
    if (isRefusal(result.errors)) onSignedOut();
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

/**
 * One connection a subscription: it ends with it, and the next one takes the cookie and headers of then.
 * It lasts as long as the session; for one that came too late the session is refreshed, and it begins anew.
 */
function subscription(
  params: FetcherParams,
  headers: Headers,
  onSignedOut: () => void,
): Observable<ExecutionResult> {
  const byCookie = isByCookie(headers);
  const subscribe = (sink: Sink<FormattedExecutionResult>) => {
    let stop = () => {};
    let stopped = false;
    const begin = (mayRenew: boolean) => {
      const began = Date.now();
      let welcome = false;
      const client = connection(headers, () => (welcome = true));
      const goesOn = async (reason: unknown) => {
        if (!byCookie || !isOver(reason)) return false;
        // A stream that was welcome and ended since knows nothing of cookies; one that wasn't came with those of then.
        if ((mayRenew || welcome) && (await renewSession(welcome ? Date.now() : began))) return true;
        onSignedOut();
        return false;
      };
      const onError = (reason: unknown) =>
        void goesOn(reason).then(
          (again) => stopped || (again ? begin(false) : sink.error(told(reason))),
          (problem) => stopped || sink.error(problem),
        );
      stop = client.subscribe(params as SubscribePayload, { ...sink, error: onError });
    };
    begin(true);
    return {
      unsubscribe: () => {
        stopped = true;
        stop();
      },
    };
  };
  return { subscribe } as Observable<ExecutionResult>;
}

function connection(headers: Headers, onConnected: () => void) {
  const url = new URL(ENDPOINT, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return createClient({
    url: url.href,
    connectionParams: headers,
    shouldRetry: (reason) => reason instanceof CloseEvent && reason.code !== EXPIRED,
    on: { connected: onConnected },
  });
}

/** Whether the hub knows the person no longer, by a refused connection or a stream that it ended. */
function isOver(reason: unknown): boolean {
  if (reason instanceof CloseEvent) return reason.code === NOT_SIGNED_IN || reason.code === EXPIRED;
  return Array.isArray(reason) && isRefusal(reason);
}

function isByCookie(headers: Headers): boolean {
  return !("authorization" in headers);
}

function isRefusal(errors: Errors | undefined): boolean {
  return errors?.some((error) => error.extensions?.["code"] === "UNAUTHENTICATED") ?? false;
}

function told(reason: unknown): unknown {
  if (!(reason instanceof CloseEvent)) return reason;
  return new Error(`The hub closed the connection: ${reason.code} ${reason.reason}`.trimEnd());
}
