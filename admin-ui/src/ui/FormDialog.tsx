import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { useState, type ReactNode, type SubmitEvent } from "react";
import { Problem } from "../api/client";

interface Props {
  title: string;
  about?: ReactNode;
  verb: string;
  isOpen: boolean;
  close: () => void;
  act: () => Promise<unknown>;
  children: ReactNode;
}

/** A few fields that are sent together. It stays open until that has come to an end. */
export function FormDialog({ title, about, verb, isOpen, close, act, children }: Props) {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && !busy && close()}>
      <Dialog size="base" className="dialog">
        {isOpen && (
          <Fields verb={verb} close={close} act={act} busy={busy} setBusy={setBusy}>
            <Dialog.Title className="dialog-title">{title}</Dialog.Title>
            {about !== undefined && <Dialog.Description render={<div className="dialog-text" />}>{about}</Dialog.Description>}
            {children}
          </Fields>
        )}
      </Dialog>
    </Dialog.Root>
  );
}

interface FieldsProps extends Pick<Props, "verb" | "close" | "act" | "children"> {
  busy: boolean;
  setBusy: (busy: boolean) => void;
}

function Fields({ verb, close, act, children, busy, setBusy }: FieldsProps) {
  const [error, setError] = useState<Error>();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    act()
      .then(close, (problem: unknown) => setError(problem instanceof Error ? problem : new Error(String(problem))))
      .finally(() => setBusy(false));
  };
  return (
    <form className="dialog-form" onSubmit={submit}>
      {children}
      <div role="alert">{error && <Banner variant="error" title={error.message} description={error instanceof Problem ? error.detail : undefined} />}</div>
      <div className="row end">
        <Button variant="secondary" disabled={busy} onClick={close}>
          Cancel
        </Button>
        <Button type="submit" variant="primary" loading={busy}>
          {verb}
        </Button>
      </div>
    </form>
  );
}
