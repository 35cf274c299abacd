import { useSyncExternalStore } from "react";

/** Up to here a page is as narrow as a phone; style.css says the same. */
const narrow = matchMedia("(max-width: 48rem)");

function subscribe(listener: () => void) {
  narrow.addEventListener("change", listener);
  return () => narrow.removeEventListener("change", listener);
}

/** Whether the page is as narrow as a phone, where `wide` columns are left out. */
export function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => narrow.matches);
}
