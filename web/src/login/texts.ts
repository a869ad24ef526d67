/** What each ready user of the demo may do. */
export const DEMO_USERS: Readonly<Record<string, string>> = {
  admin: "Sees and manages everything, on every cluster.",
  deployer: "Sees, creates and deletes models on every cluster.",
  "ml-team": "Sees and deploys in ml-team on prod-east, and nothing else.",
  viewer: "Sees the models on every cluster and changes none.",
  nobody: "Is signed in, has no role and sees no cluster.",
};

const ADMINISTRATOR = "Its administrator finds the reason in the hub's log.";

/** By the codes of `auth/providers/errors.py`, and the one of a session that has ended. */
const ERRORS: Readonly<Record<string, string>> = {
  access_denied: "You cancelled the sign-in, or your organisation refused it.",
  account_disabled: "Your account in this hub has been switched off. An administrator can switch it on again.",
  email_unverified:
    "This hub takes people by their e-mail address, and the provider has no verified one of yours. " +
    "Confirm your primary address there, then sign in again.",
  invalid_answer: `What the sign-in provider answered did not pass the hub's checks. ${ADMINISTRATOR}`,
  misconfigured: `The hub and the sign-in provider do not agree on their settings. ${ADMINISTRATOR}`,
  missing_scope:
    "The sign-in provider does not let the hub read what decides whether you may come in. " +
    "Sign in again and allow all that it asks for; if it asks for nothing, tell the hub's administrator.",
  not_allowed: "Your account is not among those that may use this hub. Ask its administrator.",
  provider_unavailable: "The sign-in provider did not answer. Try again in a minute.",
  rate_limited: "Too many sign-ins came from your address. Try again in a minute.",
  session_expired: "Your session has ended. Sign in again.",
  sign_in_failed: `The sign-in provider refused the sign-in. ${ADMINISTRATOR}`,
  sso_required:
    "Your organisation shows itself only after single sign-on. Sign in again, and authorise this application " +
    "for your organisation when GitHub offers it.",
  state_mismatch:
    "This sign-in took too long, was used already, or was started in another browser or under another " +
    "address of the hub. Start it again here.",
  unavailable: "The hub could not reach its database, so nobody was signed in. Try again in a minute.",
};

/** A failed sign-in in words. The code comes from the address bar: only a well-formed one is repeated. */
export function explain(code: string): string {
  const known = Object.hasOwn(ERRORS, code) ? ERRORS[code] : undefined;
  const name = /^[A-Za-z_]{1,40}$/.test(code) ? ` (${code})` : "";
  return known ?? `The sign-in failed${name}. Try again; if it fails again, ask the hub's administrator.`;
}
