/** Who is signed in, and how they come and go. */

export type Role = "ADMIN" | "DEPLOYER" | "VIEWER";

/** A role at some places; null means all of them. */
export interface Grant {
  readonly role: Role;
  readonly instanceId: string | null;
  readonly namespaces: readonly string[] | null;
}

export interface Viewer {
  /** Who vouches for them. LOCAL: nobody signs in here, and so nobody signs out. */
  readonly provider: "ENTRA" | "GITHUB" | "OIDC" | "DEMO" | "LOCAL";
  readonly displayName: string;
  readonly grants: readonly Grant[];
  /** Why their groups, and with them roles, couldn't be read; null if they were. */
  readonly groupsError: string | null;
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
const VIEWER = "query Viewer { viewer { provider displayName grants { role instanceId namespaces } groupsError } }";
const MEANT = { "X-Hub-Request": "1" };

/**
 * In localStorage: when this browser's session was refreshed last, in milliseconds. Absent where nobody is known
 * to have signed in: scripts see no cookie, and asking in vain would show as an error in the console.
 */
const SESSION = "hub.session";
const HOUR = 3_600_000;

/** The person whose cookies this browser holds; null for nobody, and for a session that has ended. */
export async function fetchViewer(): Promise<Viewer | null> {
  const asked = Date.now();
  let viewer = await askForViewer();
  if (viewer === null && (await renewSession(asked))) viewer = await askForViewer();
  if (viewer !== null && localStorage.getItem(SESSION) === null) localStorage.setItem(SESSION, "0");
  return viewer;
}

async function askForViewer(): Promise<Viewer | null> {
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

export function signOut(): Promise<void> {
  return inTurn(async () => {
    const response = await fetch("/api/auth/logout", { method: "POST", headers: MEANT });
    if (!response.ok) throw new Error(`The hub answered ${response.status}.`);
    localStorage.removeItem(SESSION);
  });
}

/**
 * Whether the session goes on, with cookies younger than `since`: when what the hub refused was asked.
 * Of all tabs one refreshes, and the others find it done.
 */
export function renewSession(since: number): Promise<boolean> {
  return inTurn(async () => {
    const refreshed = localStorage.getItem(SESSION);
    if (refreshed === null) return false;
    if (Number(refreshed) > since) return true;
    const response = await fetch("/api/auth/refresh", { method: "POST", headers: MEANT });
    if (response.ok) localStorage.setItem(SESSION, String(Date.now()));
    else if (response.status === 401) localStorage.removeItem(SESSION);
    else throw new Error(`The session could not be refreshed: the hub answered ${response.status}.`);
    return response.ok;
  });
}

/** Refreshes once a day for as long as the page is open: a session that nobody refreshes ends after a week. */
export function keepSession(): void {
  setInterval(() => void renewSession(Date.now() - 24 * HOUR).catch(() => undefined), HOUR);
}

let turn: Promise<unknown> = Promise.resolve();

/** One at a time over all tabs; over this one, where the browser locks nothing: on plain http off loopback. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (navigator.locks !== undefined) return await navigator.locks.request(SESSION, work);
  const mine = turn.then(work, work);
  turn = mine;
  return mine;
}

/** The page to return to after signing in: on this host, whatever the address bar asks for. */
export function returnTo(search: string): string {
  const asked = new URLSearchParams(search).get("returnTo") ?? EXPLORER;
  // Browsers drop tabs and newlines and read "\" as "/", so "/\t/host" would leave this host.
  return /^\/(?![/\\])[^\u0000-\u001f\u007f]*$/.test(asked) ? asked : EXPLORER;
}
