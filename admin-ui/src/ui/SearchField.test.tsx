import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SearchField } from "./SearchField";

const field = () => screen.getByRole<HTMLInputElement>("searchbox");

describe("the search field", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
  });

  it("asks once somebody has stopped typing", () => {
    const search = vi.fn();
    render(<SearchField placeholder="Name" given="" search={search} />);
    fireEvent.change(field(), { target: { value: "al" } });
    fireEvent.change(field(), { target: { value: "alice " } });
    vi.runAllTimers();
    expect(search.mock.calls).toEqual([["alice"]]);
  });

  it("follows the address when that goes back, and does not ask again", () => {
    const search = vi.fn();
    const { rerender } = render(<SearchField placeholder="Name" given="alice" search={search} />);
    rerender(<SearchField placeholder="Name" given="" search={search} />);
    vi.runAllTimers();
    expect(field().value).toBe("");
    expect(search).not.toHaveBeenCalled();
  });

  it("keeps what is typed while an earlier search takes effect", () => {
    const search = vi.fn();
    const { rerender } = render(<SearchField placeholder="Name" given="" search={search} />);
    fireEvent.change(field(), { target: { value: "al" } });
    vi.advanceTimersByTime(400);
    fireEvent.change(field(), { target: { value: "ali" } });
    rerender(<SearchField placeholder="Name" given="al" search={search} />);
    expect(field().value).toBe("ali");
  });
});
