// Takes what to do about each rule's incidents out of docs/operations.md, so that it stands in one place and the page needs no
// other site to show it.
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** What an incident means, and what to do, in this order. */
export interface Runbook {
  meaning: string;
  steps: string[];
}

const NAME = "virtual:runbooks";
const OPERATIONS = new URL("../docs/operations.md", import.meta.url);

/** Every section whose heading is the name of a rule. */
export function runbooksOf(page: string): Record<string, Runbook> {
  const found: Record<string, Runbook> = {};
  for (const section of page.split(/^### /m).slice(1)) {
    const name = /^`([a-z-]+)`\n/.exec(section)?.[1];
    if (name === undefined) continue;
    const text = section.slice(section.indexOf("\n")).split(/^## /m)[0] ?? "";
    const [meaning = "", ...steps] = text.split(/^\d+\. /m);
    found[name] = { meaning: flowing(meaning), steps: steps.map(flowing) };
  }
  return found;
}

/** One line, without the marks of links: they lead to other pages of the repository. */
function flowing(text: string): string {
  return text.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1").replace(/\s+/g, " ").trim();
}

export function runbooks(): Plugin {
  const id = `\0${NAME}`;
  return {
    name: "runbooks",
    resolveId: (wanted) => (wanted === NAME ? id : undefined),
    load(wanted) {
      if (wanted !== id) return undefined;
      return `export default ${JSON.stringify(runbooksOf(readFileSync(OPERATIONS, "utf8")))}`;
    },
  };
}
