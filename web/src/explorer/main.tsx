import { createRoot } from "react-dom/client";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "../theme.css";
import "./explorer.css";
import { keepSession } from "../session";
import { Explorer } from "./Explorer";

keepSession();
// No StrictMode: it mounts everything twice, and Monaco's models with the same URI then collide.
createRoot(document.getElementById("root")!).render(<Explorer />);
