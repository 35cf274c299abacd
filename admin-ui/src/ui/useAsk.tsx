import { Banner } from "@cloudflare/kumo/components/banner";
import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useState } from "react";
import { Confirm, type Question } from "./Confirm";

export interface Asked extends Question {
  /** What is said once it was done. */
  done?: string;
  /** What is read again then. */
  changes?: QueryKey[];
}

/** Questions of a page, one at a time: `ask` one, and place `dialog` and `said` somewhere. */
export function useAsk() {
  const queries = useQueryClient();
  const [question, setQuestion] = useState<Question>();
  const [done, setDone] = useState<string>();
  const ask = ({ done: words, changes = [], ...asked }: Asked) => {
    setDone(undefined);
    setQuestion({
      ...asked,
      act: async () => {
        const answer = await asked.act();
        setDone(words);
        await Promise.all(changes.map((queryKey) => queries.invalidateQueries({ queryKey })));
        return answer;
      },
    });
  };
  return {
    ask,
    dialog: <Confirm question={question} close={() => setQuestion(undefined)} />,
    said: <div role="status">{done !== undefined && <Banner size="sm" variant="secondary" title={done} />}</div>,
  };
}
