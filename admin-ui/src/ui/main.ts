import { useRouterState } from "@tanstack/react-router";
import { useEffect, useRef } from "react";

/** A new page begins at its top, for the eyes and for a screen reader. */
export function useMainOfEachPage() {
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const shown = useRef(path);
  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);
  return main;
}
