// The owner's session, for every component of their page.
import { createContext, useContext, useSyncExternalStore } from "react";
import type { OwnSession } from "./session";

export const OwnSessionContext = createContext<OwnSession | undefined>(undefined);

export function useOwnSession(): OwnSession {
  const session = useContext(OwnSessionContext);
  if (!session) throw new Error("there is no session around this component");
  return session;
}

export function useOwnApi() {
  return useOwnSession().api;
}

export function useStage() {
  const session = useOwnSession();
  return useSyncExternalStore(session.subscribe, session.stage);
}

/** Whether this page may change more than what has a button anyway. */
export function useMayChange(): boolean {
  const stage = useStage();
  return stage.at === "in" && stage.mayChange;
}
