import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { BotStatus } from "../../api/client";
import { SessionContext } from "../../session/context";
import { Session } from "../../session/session";
import { Actions, actionsFor } from "./Actions";

const USER = "de000000-0000-4000-8000-000000000001";
const running: BotStatus = { state: "running", run: 3, since: 0, health: "healthy", pinned: false, failures: 0, ignored: 0 };

function show(answer: (path: string, body: unknown) => [number, object]) {
  const asked: [string, unknown][] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const text = await request.text();
    const path = new URL(request.url).pathname;
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    asked.push([path, body]);
    const [status, document] = answer(path, body);
    return new Response(JSON.stringify(document), { status, headers: { "content-type": "application/json" } });
  });
  render(
    <SessionContext value={new Session()}>
      <QueryClientProvider client={new QueryClient()}>
        <Actions user={USER} name="alice@example.org" status={running} />
      </QueryClientProvider>
    </SessionContext>,
  );
  return asked;
}

const press = (name: string) => fireEvent.click(screen.getByRole("button", { name }));

describe("orders to a bot", () => {
  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
  });

  it("are those that make sense in its state", () => {
    const verbs = (state: BotStatus["state"]) => actionsFor({ state, pinned: false }, "x").map(({ verb }) => verb);
    expect(verbs("running")).toEqual(["Restart", "Take snapshot", "Put to sleep", "Stop", "Suspend"]);
    expect(verbs("asleep")).toEqual(["Restart", "Stop", "Suspend"]);
    expect(verbs("suspended")).toEqual(["Start"]);
    expect(verbs("stopped")).toEqual(["Start", "Suspend"]);
  });

  it("are given only once somebody has confirmed what is done to whom", async () => {
    const asked = show(() => [200, running]);
    press("Suspend");
    const dialog = await screen.findByRole("dialog", { name: "Suspend alice@example.org's bot?" });
    expect(dialog.textContent).toContain("What is saved stays");
    expect(asked).toEqual([]);
    fireEvent.click(screen.getAllByRole("button", { name: "Suspend" }).at(-1)!);
    await screen.findByText("It is suspended.");
    expect(asked[0]).toEqual([`/api/admin/bots/${USER}/suspend`, undefined]);
  });

  it("lose unsaved changes only when that was confirmed as well", async () => {
    const asked = show((_, body) => (body ? [200, running] : [409, { code: "unsaved-changes", title: "What has changed cannot be saved right now." }]));
    press("Stop");
    await screen.findByRole("dialog");
    fireEvent.click(screen.getAllByRole("button", { name: "Stop" }).at(-1)!);
    await screen.findByText(/they are lost for ever/);
    press("Stop and lose them");
    await waitFor(() => expect(asked.map(([, body]) => body)).toEqual([undefined, { force: true }]));
  });
});
