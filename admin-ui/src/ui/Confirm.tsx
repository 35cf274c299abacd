import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { useState, type ReactNode } from "react";
import { Problem } from "../api/client";

export interface Question {
  title: string;
  /** What is done to what, and whether it can be undone. */
  consequences: ReactNode;
  /** On the button that does it. */
  verb: string;
  destroys?: boolean;
  act: () => Promise<unknown>;
  /** What the button says, and does, when that was refused with this code. */
  otherwise?: { code: string; verb: string; warning: string; act: () => Promise<unknown> };
}

/** Asks before something is done, and stays open until it was: its end is shown where it was asked for. */
export function Confirm({ question, close }: { question: Question | undefined; close: (done: boolean) => void }) {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog.Root open={question !== undefined} onOpenChange={(open) => !open && !busy && close(false)}>
      <Dialog size="base" className="dialog">
        {question && <Asking key={question.title} question={question} busy={busy} setBusy={setBusy} close={close} />}
      </Dialog>
    </Dialog.Root>
  );
}

interface Asked {
  question: Question;
  busy: boolean;
  setBusy: (busy: boolean) => void;
  close: (done: boolean) => void;
}

function Asking({ question, busy, setBusy, close }: Asked) {
  const [error, setError] = useState<Error>();
  const { otherwise } = question;
  const isOtherwise = otherwise !== undefined && error instanceof Problem && error.code === otherwise.code;
  const act = async () => {
    setBusy(true);
    try {
      await (isOtherwise ? otherwise.act() : question.act());
      close(true);
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error(String(problem)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Dialog.Title className="dialog-title">{question.title}</Dialog.Title>
      <Dialog.Description render={<div className="dialog-text" />}>{question.consequences}</Dialog.Description>
      <div role="alert">
        {error && <Banner variant="error" title={error.message} description={isOtherwise ? otherwise.warning : error instanceof Problem ? error.detail : undefined} />}
      </div>
      <div className="row end">
        {/* What was ordered cannot be called back. */}
        <Button variant="secondary" disabled={busy} onClick={() => close(false)}>
          Cancel
        </Button>
        <Button variant={question.destroys || isOtherwise ? "destructive" : "primary"} loading={busy} onClick={() => void act()}>
          {isOtherwise ? otherwise.verb : question.verb}
        </Button>
      </div>
    </>
  );
}
