/** One cell of a comma-separated file. A text that a spreadsheet would run as a formula is made a text. */
function cell(value: string | number | boolean | null): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Comma-separated values as RFC 4180 has them, with a head line. */
export function toCsv(head: readonly string[], rows: readonly (readonly (string | number | boolean | null)[])[]): string {
  return `${[head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}
