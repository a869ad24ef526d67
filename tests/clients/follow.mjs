// One operation with npm's graphql-ws; what comes is printed, a line of JSON each, until stdin ends.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const { url, tokens, cookie, query, variables } = JSON.parse(process.argv[2]);

class WithCookie extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, cookie ? { headers: { cookie } } : {});
  }
}

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const client = createClient({
  url,
  webSocketImpl: WithCookie,
  // Each connection has the next token; the last one serves all that follow.
  connectionParams: tokens && (() => ({ authorization: `Bearer ${tokens.length > 1 ? tokens.shift() : tokens[0]}` })),
  retryAttempts: 3,
  retryWait: () => Promise.resolve(),
  on: { closed: ({ code }) => print({ closed: code }) },
});

client.subscribe(
  { query, variables },
  {
    next: (value) => print({ next: value }),
    error: (error) => print({ error: Array.isArray(error) ? error : { code: error.code, message: error.reason } }),
    complete: () => print({ complete: true }),
  },
);
process.stdin.on("end", () => client.dispose()).resume();
