// An OpenID provider on loopback, for as long as its standard input is open.
//
// The first line of standard input is its configuration: `{path, clientId, clientSecret, redirectUris, discovery,
// people}`. It prints its issuer once it listens. `PUT /people/NAME` with claims as JSON makes or changes a person;
// whoever signs in as NAME, with any password, is them.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const [line] = await new Promise((resolve) => {
  createInterface({ input: process.stdin })
    .once("line", (text) => resolve([text]))
    .once("close", () => process.exit(0));
});
const { path, clientId, clientSecret, redirectUris, discovery, people } = JSON.parse(line);

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}${path}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: redirectUris,
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  scopes: ["openid", "offline_access", "User.Read", "GroupMember.Read.All"],
  claims: {
    openid: ["sub", "groups", "_claim_names", "_claim_sources"],
    profile: ["name", "preferred_username", "oid", "tid", "picture"],
    email: ["email", "email_verified"],
  },
  // As Entra does it: everything about the person stands in the ID token.
  conformIdTokenClaims: false,
  discovery,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  findAccount: (_ctx, id) =>
    people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  cookies: { keys: ["of these tests"] },
});
const answer = provider.callback();

server.on("request", async (request, response) => {
  if (request.method === "PUT" && request.url.startsWith("/people/")) {
    let body = "";
    for await (const chunk of request) body += chunk;
    people[request.url.slice("/people/".length)] = JSON.parse(body);
    response.writeHead(204).end();
    return;
  }
  if (!request.url.startsWith(path)) {
    response.writeHead(404).end();
    return;
  }
  // Entra grants offline_access without asking each time; this provider only together with consent.
  if (request.url.startsWith(`${path}/auth?`)) request.url += "&prompt=consent";
  request.originalUrl = request.url;
  request.url = request.url.slice(path.length) || "/";
  answer(request, response);
});
console.log(issuer);
