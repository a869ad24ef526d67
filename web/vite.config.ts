import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const output = resolve(import.meta.dirname, "../hub/static");

/** Compresses once here what the hub would otherwise compress for every visitor, on its event loop. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  closeBundle() {
    const assets = resolve(output, "assets");
    for (const name of readdirSync(assets).filter((name) => /\.(js|css)$/.test(name))) {
      const path = resolve(assets, name);
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
    }
  },
};

export default defineConfig({
  logLevel: "warn",
  plugins: [react(), compressed],
  worker: { format: "es" },
  build: {
    outDir: output,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    // Monaco, the editor, is 3 MB by itself; it loads after the page shows.
    chunkSizeWarningLimit: 4000,
    rolldownOptions: {
      input: ["graphiql.html", "login.html"],
      // "use no memo" speaks to React's compiler, which has long run over GraphiQL's packages.
      checks: { moduleLevelDirective: false },
    },
  },
});
