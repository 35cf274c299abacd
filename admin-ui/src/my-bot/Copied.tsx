import { Button } from "@cloudflare/kumo/components/button";
import { useState } from "react";

/** Something to be copied, as it is. */
export function Copied({ what, text, label }: { what: string; text: string; label?: string }) {
  const [said, setSaid] = useState<string>();
  const copy = () => {
    navigator.clipboard.writeText(text).then(
      () => setSaid("Copied"),
      // Not every browser lets a page do that: then it is marked and copied by hand.
      () => setSaid("Mark and copy it"),
    );
  };
  return (
    <span className="row copied">
      {label !== undefined && <span className="subtle">{label}</span>}
      <code className="wraps">{text}</code>
      <Button size="sm" variant="ghost" aria-label={`Copy the ${what}`} onClick={copy}>
        <span role="status">{said ?? "Copy"}</span>
      </Button>
    </span>
  );
}
