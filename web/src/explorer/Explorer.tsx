import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { SessionBar } from "./SessionBar";
import { fetcher } from "./fetcher";
import { TABS } from "./tabs";

const PLUGINS = [explorerPlugin(), HISTORY_PLUGIN];

export function Explorer() {
  return (
    <>
      <SessionBar />
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
