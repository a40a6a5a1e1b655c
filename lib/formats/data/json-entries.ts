/**
 * The entries of one JSON array or object, one after the other, from a stream: memory is that of the largest entry, and a key that comes
 * twice is seen twice (JSON.parse keeps the last without a word). NaN and Infinity, which Python's json module writes, are read as null.
 */
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { invalidFile } from "../source";

/** More than any entry of these files has. */
const maxEntry = 64 * 1024 * 1024;

export interface JsonEntry {
  /** Of an object's entry; null in an array. */
  key: string | null;
  /** The value as it is written. */
  raw: string;
}

const again = "Write the file again, or copy it again if it was cut short.";

/** Bare NaN and Infinity outside strings become null. */
function withoutNaN(raw: string): string {
  return raw.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (match) => (match[0] === '"' ? match : "null"));
}

/** Parses one entry. Throws `file_invalid` naming the file and the entry. */
export function parseEntry(file: string, where: string, raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch (first) {
    try {
      return JSON.parse(withoutNaN(raw));
    } catch {
      throw invalidFile(`${file}: ${where} is not JSON: ${raw.slice(0, 60).replace(/\s+/g, " ")}…`, again, first);
    }
  }
}

/** UTF-8 text of a file in pieces, unpacked where it is gzip, without a byte-order mark. Throws `file_invalid` for what is neither. */
export async function* textOf(file: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const raw = createReadStream(file, { highWaterMark: 1 << 18 });
  const bytes: AsyncIterable<Buffer> = file.endsWith(".gz") ? raw.pipe(createGunzip()) : raw;
  raw.on("error", (error) => (bytes as unknown as NodeJS.WritableStream & { destroy?(error: Error): void }).destroy?.(error));
  try {
    for await (const chunk of bytes) {
      const text = decoder.decode(chunk, { stream: true });
      if (text) yield text;
    }
    const rest = decoder.decode();
    if (rest) yield rest;
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") throw invalidFile(`${file} is not UTF-8 text.`, "Save it as UTF-8.", cause);
    if (code?.startsWith("Z_")) throw invalidFile(`${file} is not a complete gzip file.`, "Copy or download the file again.", cause);
    throw cause;
  }
}

/** The lines of a text, without their ends. */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest) yield rest;
}

/** Steps through JSON at one level, without looking into the entries. */
class Splitter {
  depth = 0;
  kind: "array" | "object" | null = null;
  ended = false;
  #inString = false;
  #escaped = false;
  #key: string | null = null;
  /** Text of the present entry from earlier chunks. */
  #held = "";

  constructor(private readonly file: string) {}

  #refuse(what: string): never {
    throw invalidFile(`${this.file} ${what}`, again);
  }

  #entry(raw: string): JsonEntry[] {
    const text = raw.trim();
    if (text === "" && this.#key === null) return [];
    if (text === "") this.#refuse(`lacks a value after ${JSON.stringify(this.#key)}.`);
    if (this.kind === "object" && this.#key === null) this.#refuse(`is not JSON at ${text.slice(0, 40)}.`);
    const key = this.#key;
    this.#key = null;
    return [{ key, raw: text }];
  }

  *push(chunk: string): Generator<JsonEntry> {
    let start = 0;
    const take = (end: number) => {
      const text = this.#held + chunk.slice(start, end);
      this.#held = "";
      start = end + 1;
      return text;
    };
    for (let i = 0; i < chunk.length; i++) {
      const char = chunk.charCodeAt(i);
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === 0x5c) this.#escaped = true;
        else if (char === 0x22) this.#inString = false;
        continue;
      }
      if (this.kind === null || this.ended) {
        if (char <= 0x20) {
          start = i + 1;
          continue;
        }
        if (this.ended) this.#refuse("goes on after its end.");
        if (char !== 0x5b && char !== 0x7b) this.#refuse("does not begin with [ or {.");
        this.kind = char === 0x5b ? "array" : "object";
        this.depth = 1;
        start = i + 1;
        continue;
      }
      switch (char) {
        case 0x22:
          this.#inString = true;
          break;
        case 0x5b:
        case 0x7b:
          this.depth++;
          break;
        case 0x5d:
        case 0x7d:
          this.depth--;
          if (this.depth > 0) break;
          if ((char === 0x5d) !== (this.kind === "array")) this.#refuse("closes with the wrong bracket.");
          yield* this.#entry(take(i));
          this.ended = true;
          break;
        case 0x2c:
          if (this.depth === 1) yield* this.#entry(take(i));
          break;
        case 0x3a:
          if (this.depth === 1 && this.kind === "object" && this.#key === null) {
            const key = parseEntry(this.file, "a key", take(i));
            if (typeof key !== "string") this.#refuse("has a key that is no string.");
            this.#key = key as string;
          }
      }
    }
    this.#held += chunk.slice(start);
    if (this.#held.length > maxEntry) this.#refuse("has an entry of more than 64 MB.");
  }

  end(): void {
    if (this.kind === null) this.#refuse("is empty.");
    if (!this.ended) this.#refuse("ends in the middle: it was cut short.");
  }
}

/** The entries of the array or object that `file` holds. Throws `file_invalid` for what is not whole. */
export async function* jsonEntries(file: string): AsyncGenerator<JsonEntry> {
  const splitter = new Splitter(file);
  for await (const chunk of textOf(file)) yield* splitter.push(chunk);
  splitter.end();
}

/** The entries of an array or object inside an entry. */
export function* entriesOf(file: string, raw: string): Generator<JsonEntry> {
  const splitter = new Splitter(file);
  yield* splitter.push(raw);
  splitter.end();
}

/** Whether the file begins as JSON, and with which bracket; null where not. Reads its beginning only. */
export async function jsonKind(file: string): Promise<"array" | "object" | null> {
  try {
    for await (const chunk of textOf(file)) {
      const first = chunk.trimStart()[0];
      if (first) return first === "[" ? "array" : first === "{" ? "object" : null;
    }
  } catch {
    return null;
  }
  return null;
}

/** A small JSON file, whole. Throws `file_invalid`. */
export async function readJson(file: string): Promise<unknown> {
  let text = "";
  for await (const chunk of textOf(file)) text += chunk;
  if (text.trim() === "") throw invalidFile(`${file} is empty.`, again);
  return parseEntry(file, "the file", text);
}
