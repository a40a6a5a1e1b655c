import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Writes text as it is made; a name that ends in ".gz" is compressed. */
export async function writeText(file: string, text: AsyncIterable<string> | Iterable<string>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const source = Readable.from(text, { objectMode: false });
  const sink = createWriteStream(file);
  if (file.endsWith(".gz")) await pipeline(source, createGzip(), sink);
  else await pipeline(source, sink);
}
