import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { useMemo, useState } from "react";
import { SessionBar } from "./SessionBar";
import { createFetcher } from "./fetcher";
import { TABS } from "./tabs";

const PLUGINS = [explorerPlugin(), HISTORY_PLUGIN];

export function Explorer() {
  const [signedOut, setSignedOut] = useState(false);
  const fetcher = useMemo(() => createFetcher(() => setSignedOut(true)), []);

  return (
    <>
      <SessionBar signedOut={signedOut} />
      <main>
        <GraphiQL
          fetcher={fetcher}
          plugins={PLUGINS}
          defaultTabs={TABS}
          defaultEditorToolsVisibility="variables"
        >
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}
