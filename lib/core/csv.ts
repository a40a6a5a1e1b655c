export type CsvValue = string | number | boolean | null;

/** How a spreadsheet knows a formula. */
const formula = "[=+\\-@\\t\\r\\n＝＋－＠]";
const begins = new RegExp(`^\\s*${formula}`);
/** Where a spreadsheet parts cells by semicolons or tabs, as some countries' do, a formula may begin behind one too. */
const beginsInside = new RegExp(`([;\\t]["\\s]*)(?=${formula})`, "g");

/** One cell of a comma-separated file. A text that a spreadsheet would run as a formula is made a text by an apostrophe before it. */
function cell(value: CsvValue): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const safe = (begins.test(value) ? `'${value}` : value).replace(beginsInside, "$1'");
  return /[",;\t\n\r]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Lines of comma-separated values as RFC 4180 has them, each with its end. */
export function csvLines(rows: readonly (readonly CsvValue[])[]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
