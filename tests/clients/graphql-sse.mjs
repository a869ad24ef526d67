// npm's graphql-sse, a connection for each operation.
import { query, sink, streamClient, untilDone, variables } from "./asked.mjs";

const client = streamClient();
client.subscribe({ query, variables }, sink);
untilDone(() => client.dispose());
