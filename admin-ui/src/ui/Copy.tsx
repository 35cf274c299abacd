import { Button } from "@cloudflare/kumo/components/button";
import { useState } from "react";

/** How long it is said that something was copied. */
const SAID_MS = 2_000;

/** Text that goes into another window, with the button that copies it. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState<string>();
  const copy = () => {
    navigator.clipboard.writeText(text).then(
      () => setSaid("Copied"),
      () => setSaid("Not copied"),
    );
    setTimeout(() => setSaid(undefined), SAID_MS);
  };
  return (
    <span className="row copy">
      <code className="wraps">{text}</code>
      <Button size="sm" variant="ghost" aria-label={`Copy ${what}`} onClick={copy}>
        <span role="status">{said ?? "Copy"}</span>
      </Button>
    </span>
  );
}
