import { Banner } from "@cloudflare/kumo/components/banner";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Confirm, type Question } from "../ui/Confirm";

/** Asks before something is done, says what became of it, and has what was read read again. */
export function useAct(): { ask: (question: Question, done: string) => void; said: ReactNode } {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<{ question: Question; done: string }>();
  const [said, setSaid] = useState<string>();
  const close = (done: boolean) => {
    if (done) {
      setSaid(asked?.done);
      void queries.invalidateQueries();
    }
    setAsked(undefined);
  };
  return {
    ask: (question, done) => {
      setSaid(undefined);
      setAsked({ question, done });
    },
    said: (
      <>
        <div role="status">{said !== undefined && <Banner size="sm" variant="secondary" title={said} />}</div>
        <Confirm question={asked?.question} close={close} />
      </>
    ),
  };
}
