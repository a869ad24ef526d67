import { useEffect, useState } from "react";
import { fetchSignInOptions, signInToDemo, type Provider, type SignInOptions } from "../session";
import { DEMO_USERS, explain } from "./texts";

interface SignInProps {
  readonly returnTo: string;
  readonly errorCode: string | null;
}

export function SignIn({ returnTo, errorCode }: SignInProps) {
  const [options, setOptions] = useState<SignInOptions>();
  const [problem, setProblem] = useState(errorCode === null ? null : explain(errorCode));

  useEffect(() => {
    fetchSignInOptions().then(setOptions, (error: Error) =>
      setProblem(`The ways to sign in could not be read. ${error.message} Reload the page to try again.`),
    );
  }, []);

  return (
    <main className="sign-in">
      <header>
        <img src="/favicon.svg" alt="" width="44" height="44" />
        <h1>AI Runway Hub</h1>
        <p>One door to the models on all your clusters.</p>
      </header>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {options && (
        <Choices options={options} returnTo={returnTo} again={errorCode !== null} onProblem={setProblem} />
      )}
    </main>
  );
}

interface ChoicesProps {
  readonly options: SignInOptions;
  readonly returnTo: string;
  /** A sign-in has failed, perhaps for the account: the provider is to ask for one. */
  readonly again: boolean;
  readonly onProblem: (problem: string) => void;
}

function Choices({ options: { providers, demo = [] }, returnTo, again, onProblem }: ChoicesProps) {
  if (providers.length === 0 && demo.length === 0) return <NoProvider />;
  return (
    <>
      {providers.length > 0 && <Providers providers={providers} returnTo={returnTo} again={again} />}
      {demo.length > 0 && <DemoUsers users={demo} returnTo={returnTo} onProblem={onProblem} />}
    </>
  );
}

interface ProvidersProps {
  readonly providers: readonly Provider[];
  readonly returnTo: string;
  readonly again: boolean;
}

function Providers({ providers, returnTo, again }: ProvidersProps) {
  const query = new URLSearchParams({ returnTo, ...(again && { choose: "account" }) });
  return (
    <ul className="choices" aria-label="Ways to sign in">
      {providers.map(({ id, name, loginUrl }) => (
        <li key={id}>
          <a className="choice" href={`${loginUrl}?${query}`}>
            <strong>Sign in with {name}</strong>
          </a>
        </li>
      ))}
    </ul>
  );
}

interface DemoUsersProps {
  readonly users: readonly string[];
  readonly returnTo: string;
  readonly onProblem: (problem: string) => void;
}

function DemoUsers({ users, returnTo, onProblem }: DemoUsersProps) {
  const [busy, setBusy] = useState(false);

  async function enter(user: string) {
    setBusy(true);
    try {
      await signInToDemo(user);
      location.assign(returnTo);
    } catch (error) {
      onProblem(`Signing in as ${user} failed. ${(error as Error).message}`);
      setBusy(false);
    }
  }

  return (
    <section aria-labelledby="demo-users">
      <h2 id="demo-users">This is a demo. Come in as…</h2>
      <ul className="choices">
        {users.map((user) => (
          <li key={user}>
            <button className="choice" type="button" disabled={busy} onClick={() => void enter(user)}>
              <strong>{user}</strong>
              <span>{DEMO_USERS[user]}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const TOKEN_COMMANDS = `python -m hub users grant github:1001 --role viewer
python -m hub token create github:1001 --name laptop`;

function NoProvider() {
  return (
    <section>
      <h2>No sign-in provider is configured</h2>
      <p>
        Until its administrator sets one up, this hub is open to access tokens alone. Whoever runs the hub
        makes one on its command line:
      </p>
      <pre tabIndex={0}>
        <code>{TOKEN_COMMANDS}</code>
      </pre>
      <p>
        Send it as <code>Authorization: Bearer …</code>; in the <a href="/graphql">explorer</a>, as a request
        header.
      </p>
    </section>
  );
}
