import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import type { Plugin, Rollup } from "vite";
import { runbooks } from "./runbooks.ts";

/** Says how much a browser loads before anything is seen; tests/worker/admin-ui.test.mjs holds the limit. */
function weight(): Plugin {
  return {
    name: "weight",
    apply: "build",
    writeBundle(_, bundle: Rollup.OutputBundle) {
      for (const entry of Object.values(bundle)) {
        if (entry.type !== "chunk" || !entry.isEntry) continue;
        const names = new Set([entry.fileName]);
        for (const name of names) {
          const chunk = bundle[name];
          if (chunk?.type === "chunk") for (const found of [...chunk.imports, ...(chunk.viteMetadata?.importedCss ?? [])]) names.add(found);
        }
        const size = (name: string) => {
          const file = bundle[name];
          return file === undefined ? 0 : gzipSync(file.type === "chunk" ? file.code : file.source).length;
        };
        const bytes = [...names].reduce((sum, name) => sum + size(name), 0);
        console.log(`${entry.name}: ${names.size} files, ${Math.round(bytes / 1_000)} kB gzip before anything is seen`);
      }
    },
  };
}

export default defineConfig({
  // Where the Worker serves it. The path is part of what is built, so that the files lie under their addresses.
  base: "/admin/",
  plugins: [react(), runbooks(), weight()],
  build: {
    outDir: "dist/admin",
    target: "es2023",
    // The page's policy lets it load files and no data.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The admin UI, and the owner's own page.
    rollupOptions: { input: ["index.html", "bot.html"] },
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
