/** What each ready user of the demo may do. */
export const DEMO_USERS: Readonly<Record<string, string>> = {
  admin: "Sees and manages everything, on every cluster.",
  deployer: "Sees, creates and deletes models on every cluster.",
  "ml-team": "Sees and deploys in ml-team on prod-east, and nothing else.",
  viewer: "Sees the models on every cluster and changes none.",
  nobody: "Is signed in, has no role and sees no cluster.",
};

const ERRORS: Readonly<Record<string, string>> = {
  access_denied: "You cancelled the sign-in, or your organisation refused it.",
  account_disabled: "Your account in this hub has been switched off. An administrator can switch it on again.",
  not_allowed: "Your account is not among those that may use this hub. Ask its administrator.",
  provider_unavailable: "The sign-in provider did not answer. Try again in a minute.",
  session_expired: "Your session has ended. Sign in again.",
  state_mismatch: "This sign-in took too long or was started in another browser. Start it again here.",
};

/** A failed sign-in in words. The code comes from the address bar: only a well-formed one is repeated. */
export function explain(code: string): string {
  const known = Object.hasOwn(ERRORS, code) ? ERRORS[code] : undefined;
  const name = /^[A-Za-z_]{1,40}$/.test(code) ? ` (${code})` : "";
  return known ?? `The sign-in failed${name}. Try again; if it fails again, ask the hub's administrator.`;
}
