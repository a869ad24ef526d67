import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "../theme.css";
import { returnTo } from "../session";
import "./login.css";
import { SignIn } from "./SignIn";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <SignIn
      returnTo={returnTo(location.search)}
      errorCode={new URLSearchParams(location.search).get("error")}
    />
  </StrictMode>,
);
