// What both pages begin with: the admin UI and the owner's own.
import { CSPProvider } from "@cloudflare/kumo/primitives/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider, type AnyRouter } from "@tanstack/react-router";
import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "../api/client";
import { startTheme } from "./theme";

/** Draws the app, with a session around it; answers what it keeps of what was read. */
export function startApp(router: AnyRouter, within: (app: ReactNode) => ReactNode): QueryClient {
  startTheme();
  const queries = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        // A refusal stays one; what did not answer may do so a moment later.
        retry: (failures, error) => failures < 2 && (!(error instanceof Problem) || error.status === 0 || error.status >= 500),
      },
    },
  });
  const place = document.getElementById("app");
  if (!place) throw new Error("the page has no place for the app");
  createRoot(place).render(
    <StrictMode>
      {/* The page's policy takes no styles but those of files. */}
      <CSPProvider disableStyleElements>
        {within(
          <QueryClientProvider client={queries}>
            <RouterProvider router={router} />
          </QueryClientProvider>,
        )}
      </CSPProvider>
    </StrictMode>,
  );
  return queries;
}
