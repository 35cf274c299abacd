import { Input } from "@cloudflare/kumo/components/input";
import { useEffect, useState } from "react";

/** A pause in typing after which one means it. */
const PAUSE_MS = 300;

interface Props {
  label?: string;
  placeholder: string;
  /** What the address asks for. */
  given: string;
  search: (text: string | undefined) => void;
}

/** Text that goes into the address once it is typed, and comes out of it when that changes by itself ("Back"). */
export function SearchField({ label = "Search", placeholder, given, search }: Props) {
  const [text, setText] = useState(given);
  const [seen, setSeen] = useState(given);
  /** What this field last put there. */
  const [asked, setAsked] = useState(given);
  if (given !== seen) {
    setSeen(given);
    if (given !== asked) {
      setText(given);
      setAsked(given);
    }
  }
  const wanted = text.trim();
  useEffect(() => {
    if (wanted === asked) return;
    const timer = setTimeout(() => {
      setAsked(wanted);
      search(wanted || undefined);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted, asked, search]);
  return <Input label={label} type="search" placeholder={placeholder} autoComplete="off" value={text} onChange={(event) => setText(event.target.value)} />;
}
