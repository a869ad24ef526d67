// No client library at all.
import { headers, query, told, tracedFetch, transport, untilDone, url, variables } from "./asked.mjs";

function get() {
  const asked = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  return tracedFetch(`${url}?${asked}`, { headers: headers() });
}

function post() {
  const body = JSON.stringify({ query, variables });
  return tracedFetch(url, {
    method: "POST",
    headers: { ...headers(), "content-type": "application/json" },
    body,
  });
}

untilDone();
told(await (await (transport === "HTTP GET" ? get() : post())).json());
