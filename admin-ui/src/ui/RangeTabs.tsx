import { Tabs } from "@cloudflare/kumo/components/tabs";
import { RANGES, type Range } from "../api/queries";

const WORDS: Record<Range, string> = { "24h": "24 hours", "30d": "30 days" };

export function RangeTabs({ range, choose }: { range: Range; choose: (range: Range) => void }) {
  return (
    <Tabs
      size="sm"
      variant="segmented"
      tabs={RANGES.map((value) => ({ value, label: WORDS[value] }))}
      value={range}
      onValueChange={(value) => choose(RANGES.find((known) => known === value) ?? "24h")}
    />
  );
}
