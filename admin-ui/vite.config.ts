import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { runbooks } from "./runbooks.ts";

export default defineConfig({
  // Where the Worker serves it. The path is part of what is built, so that the files lie under their addresses.
  base: "/admin/",
  plugins: [react(), runbooks()],
  build: {
    outDir: "dist/admin",
    target: "es2023",
    // The page's policy lets it load files and no data.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
