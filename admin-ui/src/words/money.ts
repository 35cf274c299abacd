// Costs, as people read them.

const DOLLAR = 1_000_000;

/** An amount of microdollars. What is less than a cent is not nothing. */
export function money(microdollars: number): string {
  const dollars = microdollars / DOLLAR;
  if (microdollars > 0 && dollars < 0.01) return "< $0.01";
  return dollars.toLocaleString("en-US", { style: "currency", currency: "USD" });
}

/** Microdollars of what somebody typed; nothing where that is no amount the platform takes. */
export function microdollars(typed: string): number | undefined {
  const text = typed.trim().replace(/^\$/, "");
  if (!/^\d+(\.\d{1,6})?$/.test(text)) return undefined;
  const amount = Math.round(Number(text) * DOLLAR);
  return amount >= 10_000 && amount <= 1_000_000 * DOLLAR ? amount : undefined;
}
