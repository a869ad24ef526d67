// npm's graphql-ws.
import { query, sink, socketClient, untilDone, variables } from "./asked.mjs";

const client = socketClient();
client.subscribe({ query, variables }, sink);
untilDone(() => client.dispose());
