import "@cloudflare/kumo/styles/standalone";
import "./style.css";
import { CSPProvider } from "@cloudflare/kumo/primitives/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/client";
import { router } from "./router";
import { SessionContext } from "./session/context";
import { Session } from "./session/session";
import { startTheme } from "./ui/theme";

startTheme();
const session = new Session();
const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // A refusal stays one; what did not answer may do so a moment later.
      retry: (failures, error) => failures < 2 && (!(error instanceof Problem) || error.status === 0 || error.status >= 500),
    },
  },
});
// What one person was shown is nothing for the next one at this screen.
session.subscribe(() => session.stage().at !== "in" && queries.clear());
void session.begin();

const place = document.getElementById("app");
if (!place) throw new Error("the page has no place for the app");
createRoot(place).render(
  <StrictMode>
    {/* The page's policy takes no styles but those of files. */}
    <CSPProvider disableStyleElements>
      <SessionContext value={session}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </SessionContext>
    </CSPProvider>
  </StrictMode>,
);
