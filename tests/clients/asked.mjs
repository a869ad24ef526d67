// What the scripts of this folder have in common. Each asks one operation with one client, as its argument
// (JSON) says, and prints what comes, a line of JSON each, until its stdin ends: {next: …}, {error: […]},
// {complete: true}, {closed: code} of a socket, and {fetched: …} of each request if `traced`.
import { createClient as createStreamClient } from "graphql-sse";
import { createClient as createSocketClient } from "graphql-ws";
import WebSocket from "ws";

export const { url, transport, query, variables, tokens, cookie, traced } = JSON.parse(process.argv[2]);

const RETRIES = 100;
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 50));

export function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export function told(result) {
  print(result.errors ? { error: result.errors } : { next: result });
}

export const sink = {
  next: told,
  // A list of GraphQL's errors, a socket's close event, or whatever else went wrong.
  error: (error) =>
    print({
      error: Array.isArray(error) ? error : { code: error.code, message: error.message || error.reason },
    }),
  complete: () => print({ complete: true }),
};

export function untilDone(dispose = () => {}) {
  process.stdin.on("end", dispose).resume();
}

// Each connection has the next token; the last one serves all that follow.
function bearer() {
  return `Bearer ${tokens.length > 1 ? tokens.shift() : tokens[0]}`;
}

// A cookie acts in a person's name, so the hub asks for a header that no foreign page can send.
export function headers() {
  return cookie ? { cookie, "x-hub-request": "clients" } : { authorization: bearer() };
}

export async function tracedFetch(address, request) {
  const response = await fetch(address, request);
  const { searchParams } = new URL(address);
  const asked = request.body ? JSON.parse(request.body) : Object.fromEntries(searchParams);
  const { accept } = Object.fromEntries(new Headers(request.headers));
  if (traced) {
    const { method = "GET" } = request;
    const { status, headers } = response;
    const contentType = headers.get("content-type");
    print({ fetched: { method, query: Boolean(asked.query), accept, status, contentType } });
  }
  return response;
}

class WithCookie extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, cookie ? { headers: { cookie } } : {});
  }
}

export function socketClient() {
  return createSocketClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WithCookie,
    connectionParams: tokens && (() => ({ authorization: bearer() })),
    retryAttempts: RETRIES,
    retryWait: aMoment,
    // Else a hub that can't be reached while it restarts would be given up at once.
    shouldRetry: (problem) => !(problem instanceof Error),
    on: { closed: ({ code }) => print({ closed: code }) },
  });
}

export function streamClient() {
  return createStreamClient({ url, headers, fetchFn: tracedFetch, retryAttempts: RETRIES, retry: aMoment });
}
