/** Who is signed in, and how they come and go. */

export type Role = "ADMIN" | "DEPLOYER" | "VIEWER";

/** A role at some places; null means all of them. */
export interface Grant {
  readonly role: Role;
  readonly instanceId: string | null;
  readonly namespaces: readonly string[] | null;
}

export interface Viewer {
  readonly displayName: string;
  readonly grants: readonly Grant[];
}

export interface Provider {
  readonly id: string;
  readonly name: string;
  readonly loginUrl: string;
}

export interface SignInOptions {
  readonly providers: readonly Provider[];
  /** The ready users of a demo; absent elsewhere. */
  readonly demo?: readonly string[];
}

const EXPLORER = "/graphql";
const VIEWER = "query Viewer { viewer { displayName grants { role instanceId namespaces } } }";

/** The person whose cookie this browser holds; null for nobody, and for a session that has ended. */
export async function fetchViewer(): Promise<Viewer | null> {
  const response = await fetch(EXPLORER, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query: VIEWER }),
  });
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`The hub answered ${response.status}.`);
  const { data } = (await response.json()) as { data: { viewer: Viewer | null } };
  return data.viewer;
}

export async function fetchSignInOptions(): Promise<SignInOptions> {
  const response = await fetch("/api/auth/providers");
  if (!response.ok) throw new Error(`The hub answered ${response.status}.`);
  return (await response.json()) as SignInOptions;
}

export async function signInToDemo(user: string): Promise<void> {
  const response = await fetch("/api/auth/demo", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user }),
  });
  if (!response.ok) throw new Error(`The hub answered ${response.status}.`);
}

export async function signOut(): Promise<void> {
  const response = await fetch("/api/auth/logout", { method: "POST", headers: { "X-Hub-Request": "1" } });
  if (!response.ok) throw new Error(`The hub answered ${response.status}.`);
}

/** The page to return to after signing in: on this host, whatever the address bar asks for. */
export function returnTo(search: string): string {
  const asked = new URLSearchParams(search).get("returnTo") ?? EXPLORER;
  // Browsers drop tabs and newlines and read "\" as "/", so "/\t/host" would leave this host.
  return /^\/(?![/\\])[^\u0000-\u001f\u007f]*$/.test(asked) ? asked : EXPLORER;
}
