import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { VirtualTable, type Pages } from "./VirtualTable";

const rows = Array.from({ length: 10_000 }, (_, index) => ({ id: `bot-${index}` }));
const table = (pages?: Pages, count = rows.length) => (
  <VirtualTable label="bots" columns={[{ name: "Bot" }]} rows={rows.slice(0, count)} rowHeight={50} idOf={({ id }) => id} cells={({ id }) => <td>{id}</td>} pages={pages} />
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

  const pagesOf = (changes: Partial<Pages> = {}): Pages => ({ hasNextPage: true, isFetching: false, isFetchingNextPage: false, isFetchNextPageError: false, fetchNextPage: vi.fn(), ...changes });

  it("asks for what follows near its end, and not before", () => {
    const pages = pagesOf();
    const { rerender } = render(table(pages));
    expect(pages.fetchNextPage).not.toHaveBeenCalled();
    rerender(table(pages, 60));
    expect(pages.fetchNextPage).toHaveBeenCalledOnce();
  });

  it("asks for what follows once what there is was read again", () => {
    const { fetchNextPage } = pagesOf();
    const { rerender } = render(table(pagesOf({ fetchNextPage, isFetching: true }), 60));
    expect(fetchNextPage).not.toHaveBeenCalled();
    rerender(table(pagesOf({ fetchNextPage }), 60));
    expect(fetchNextPage).toHaveBeenCalledOnce();
  });

  it("asks for a page that failed when somebody wants it to", () => {
    const pages = pagesOf({ isFetchNextPageError: true });
    render(table(pages, 60));
    expect(pages.fetchNextPage).not.toHaveBeenCalled();
    fireEvent.click(screen.getByRole("button", { name: "Load more" }));
    expect(pages.fetchNextPage).toHaveBeenCalledOnce();
  });
});
