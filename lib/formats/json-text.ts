/** Small JSON files of other tools: settings and headers, read whole. */
import { readFile, stat } from "node:fs/promises";
import { invalidFile } from "./source";

/** More than any settings file has. */
const maxBytes = 64 * 1024 * 1024;

/**
 * A key that one object of valid JSON `text` has twice; null where none has. JSON.parse keeps the last of them without a word, and which
 * one was meant nobody can tell.
 */
export function repeatedKey(text: string): string | null {
  const open: (Set<string> | null)[] = [];
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(?:\s*:)?|[{}[\]]/gs)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const key = JSON.parse(token.slice(0, -1)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return null;
}

/**
 * The object that a JSON file holds, with or without a byte-order mark. Throws `file_invalid` for what is no JSON object, names a key twice,
 * or holds NaN where JSON has none.
 */
export async function readJsonObject(file: string): Promise<Record<string, unknown>> {
  const { size } = await stat(file);
  if (size === 0) throw invalidFile(`${file} is empty.`, "Copy or download the file again.");
  if (size > maxBytes) throw invalidFile(`${file} has ${size} bytes, too many for settings.`, "Give the file that the tool itself wrote.");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    throw invalidFile(`${file} is not UTF-8 text.`, "Save it as UTF-8.", cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const nan = /:\s*(-?(?:NaN|Infinity))\b/.exec(text)?.[1];
    throw invalidFile(
      `${file} is not JSON${nan ? `: it holds ${nan}, which JSON does not have` : ""}.`,
      nan ? "Write null or a number in its place." : "Copy or download the file again.",
      cause,
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalidFile(`${file} does not hold a JSON object.`, "Give the settings file that the tool itself wrote.");
  }
  const twice = repeatedKey(text);
  if (twice !== null) throw invalidFile(`${file} has the key ${JSON.stringify(twice)} twice.`, "Remove one of them.");
  return json as Record<string, unknown>;
}
