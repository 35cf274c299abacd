// The session, for every component.
import { createContext, useContext, useSyncExternalStore } from "react";
import type { Session } from "./session";

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("there is no session around this component");
  return session;
}

export function useApi() {
  return useSession().api;
}

export function useStage() {
  const session = useSession();
  return useSyncExternalStore(session.subscribe, session.stage);
}
