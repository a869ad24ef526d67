import { useEffect, useState } from "react";
import { fetchViewer, signOut, type Grant, type Viewer } from "../session";

/** Who explores, and what they may do where. `signedOut`: the hub has answered that it knows nobody here. */
export function SessionBar({ signedOut }: { signedOut: boolean }) {
  const [viewer, setViewer] = useState<Viewer | null>();
  const [problem, setProblem] = useState<string>();

  useEffect(() => {
    fetchViewer().then(setViewer, (error: Error) => setProblem(error.message));
  }, []);

  return (
    <header className="session">
      <img src="/favicon.svg" alt="" width="28" height="28" />
      <h1>AI Runway Hub</h1>
      <div className="person">
        {problem !== undefined && <span role="alert">{problem}</span>}
        {viewer === null && <SignedOut why="Sign in to see your clusters." />}
        {viewer && signedOut && <SignedOut why="Your session has ended." />}
        {viewer && !signedOut && <SignedIn viewer={viewer} onProblem={setProblem} />}
      </div>
      {viewer?.groupsError && !signedOut && (
        <p className="notice" role="status">
          {viewer.groupsError}
        </p>
      )}
    </header>
  );
}

function SignedOut({ why }: { why: string }) {
  return (
    <>
      <span role="status">{why}</span>
      <a className="action primary" href="/login?returnTo=/graphql">
        Sign in
      </a>
    </>
  );
}

interface SignedInProps {
  readonly viewer: Viewer;
  readonly onProblem: (problem: string) => void;
}

function SignedIn({ viewer: { provider, displayName, grants }, onProblem }: SignedInProps) {
  const roles = grants.length === 0 ? ["no role yet"] : [...new Set(grants.map(describe))];
  const leave = () =>
    void signOut().then(
      () => location.assign("/login"),
      (error: Error) => onProblem(`Signing out failed. ${error.message}`),
    );

  return (
    <>
      <ul className="grants" aria-label="Roles">
        {roles.map((role) => (
          <li key={role}>{role}</li>
        ))}
      </ul>
      <strong>{displayName}</strong>
      {provider !== "LOCAL" && (
        <button className="action" type="button" onClick={leave}>
          Sign out
        </button>
      )}
    </>
  );
}

function describe({ role, instanceId, namespaces }: Grant): string {
  const name = role.toLowerCase();
  if (instanceId === null && namespaces === null) return `${name} everywhere`;
  const where = namespaces === null ? "" : ` in ${namespaces.join(", ")}`;
  return `${name}${where} on ${instanceId ?? "every cluster"}`;
}
