import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { VirtualTable } from "./VirtualTable";

const rows = Array.from({ length: 10_000 }, (_, index) => ({ id: `bot-${index}` }));
const table = (more?: () => void, count = rows.length) => (
  <VirtualTable label="bots" columns={[{ name: "Bot" }]} rows={rows.slice(0, count)} rowHeight={50} idOf={({ id }) => id} cells={({ id }) => <td>{id}</td>} more={more} />
);

describe("a long table", () => {
  afterEach(() => {
    cleanup();
    vi.restoreAllMocks();
  });

  it("draws only the rows that are seen of ten thousand", () => {
    const began = performance.now();
    render(table());
    const drawn = screen.getAllByRole("row").length;
    console.log(`10,000 rows: ${drawn} drawn in ${Math.round(performance.now() - began)} ms`);
    expect(drawn).toBeLessThan(60);
    expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("10001");
    vi.spyOn(Element.prototype, "getBoundingClientRect").mockReturnValue(new DOMRect(0, -250_000));
    fireEvent.scroll(window);
    expect(screen.getByText("bot-5000").closest("tr")?.getAttribute("aria-rowindex")).toBe("5002");
    expect(screen.queryByText("bot-0")).toBeNull();
  });

  it("asks for what follows near its end, and not before", () => {
    const more = vi.fn();
    const { rerender } = render(table(more));
    expect(more).not.toHaveBeenCalled();
    rerender(table(more, 60));
    expect(more).toHaveBeenCalled();
  });
});
