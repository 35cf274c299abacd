// Tables for spreadsheets.

/**
 * What a spreadsheet would take for a formula: one of these signs, also in their full width, where a cell begins. With a list
 * separator of its own a spreadsheet splits text at it, whatever stands in quotes, so a cell begins behind one as well.
 */
const FORMULA = /(^|[;\t\r\n])([\s"]*)([=+\-@＝＋－＠])/g;
/** Says to spreadsheets by what cells are separated; where lists are by `;` they would not split at a comma. */
const SEPARATOR = "sep=,";

/** Comma-separated values with a line of names. What strangers wrote stays text: it is never run as a formula. */
export function csv(names: string[], rows: (string | number | null)[][]): string {
  return [SEPARATOR, ...[names, ...rows].map((row) => row.map(cell).join(","))].map((line) => `${line}\r\n`).join("");
}

function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = value.replace(FORMULA, "$1$2'$3");
  return /[",;\t\r\n']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Has the browser save something under a name. */
export function save(content: Blob, name: string) {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
