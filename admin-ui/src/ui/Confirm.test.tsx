import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Confirm } from "./Confirm";

describe("a question", () => {
  afterEach(cleanup);

  it("stays until its order has come to an end", async () => {
    let refuse: (error: Error) => void = () => {};
    const close = vi.fn();
    const act = () => new Promise((_, reject) => (refuse = reject));
    render(<Confirm question={{ title: "Stop it?", consequences: "It stops.", verb: "Stop", act }} close={close} />);
    fireEvent.click(await screen.findByRole("button", { name: "Stop" }));
    const cancel = screen.getByRole<HTMLButtonElement>("button", { name: "Cancel" });
    await waitFor(() => expect(cancel.disabled).toBe(true));
    fireEvent.click(cancel);
    fireEvent.keyDown(screen.getByRole("dialog"), { key: "Escape" });
    expect(close).not.toHaveBeenCalled();
    refuse(new Error("It did not stop."));
    await screen.findByText("It did not stop.");
    fireEvent.click(cancel);
    expect(close.mock.calls).toEqual([[false]]);
  });
});
