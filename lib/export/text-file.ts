import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Writes UTF-8 text to a new file as it is made; a name that ends in ".gz" is compressed. */
export async function writeText(file: string, text: AsyncIterable<string> | Iterable<string>, signal?: AbortSignal): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const source = Readable.from(text, { objectMode: false });
  const sink = createWriteStream(file, { flags: "wx" });
  if (file.endsWith(".gz")) await pipeline(source, createGzip(), sink, { signal });
  else await pipeline(source, sink, { signal });
}
