/** Every format that an import recognises, and what to do with the paths that it is given. A format is loaded when it is first asked. */
import { stat } from "node:fs/promises";
import { FacetError } from "@/lib/core/errors";
import { combine } from "./combine";
import type { Part, Reader, ReadOptions, Source } from "./source";

/** Formats that hold whole dictionaries. */
const sources: (() => Promise<Reader<Source>>)[] = [async () => (await import("./bundle-source")).bundleReader];

/** Formats of files that are parts of a dictionary, the more particular before the more general. */
const parts: (() => Promise<Reader<Part[]>>)[] = [
  async () => (await import("./data/delphi-texts")).delphiReader,
  async () => (await import("./data/safetensors-cache")).safetensorsCacheReader,
  async () => (await import("./data/csr-cache")).csrCacheReader,
  async () => (await import("./data/paper")).paperReader,
  async () => (await import("./data/neuronpedia")).neuronpediaReader,
  async () => (await import("./data/beside")).imageSetReader,
  async () => (await import("./data/beside")).tokenizerReader,
  // Last: it speaks of pickles where nothing else is known.
  async () => (await import("./dictionaries/reader")).dictionaryReader,
];

async function firstThatKnows<T>(
  readers: (() => Promise<Reader<T>>)[],
  path: string,
): Promise<{ reader: Reader<T>; found: string } | null> {
  for (const load of readers) {
    const reader = await load();
    const known = await reader.recognise(path);
    if (known) return { reader, found: known.found };
  }
  return null;
}

/**
 * Opens what lies at the paths: one bundle, or the parts of one model's dictionaries. Throws `format_unknown` for a path that no reader
 * knows, and what the readers throw.
 */
export async function openSource(paths: string[], options: ReadOptions = {}): Promise<Source> {
  const read: Part[] = [];
  const beside: { path: string; found: string }[] = [];
  for (const path of paths) {
    const there = await stat(path).catch(() => null);
    if (!there) throw new FacetError("file_invalid", `${path} is not there.`, { fix: "Correct the path." });
    const whole = await firstThatKnows(sources, path);
    if (whole) {
      if (paths.length > 1) {
        throw new FacetError("file_invalid", `${path} is a whole catalogue (${whole.reader.format}), which is imported by itself.`, {
          fix: "Give it alone, and the other paths in another import.",
        });
      }
      return whole.reader.read(path, options);
    }
    const part = await firstThatKnows(parts, path);
    if (!part && there.isFile() && there.size === 0) {
      throw new FacetError("file_invalid", `${path} is empty: it has 0 bytes.`, { fix: "Copy or download the file again." });
    }
    if (!part) {
      throw new FacetError("format_unknown", `${path} is of no format that Facet knows.`, {
        fix: "docs/formats.md lists the formats and the files by which each is recognised.",
      });
    }
    const given = await part.reader.read(path, { paths, ...options });
    if (given.length === 0) beside.push({ path, found: part.found });
    read.push(...given);
  }
  const source = combine(read, options);
  // A cache says which pictures and which tokenizer it read.
  const unread = beside.filter(({ path }) => !source.found.some((sentence) => sentence.includes(path)));
  for (const { found } of unread) source.found.push(`${found}, which nothing here reads: only an activation cache does.`);
  return source;
}
