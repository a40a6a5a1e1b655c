/** Writes the files of a static copy into a folder, and counts them. */
import { copyFile, mkdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FacetError } from "@/lib/core/errors";

export class DataWriter {
  files = 0;
  bytes = 0;
  readonly #folders = new Map<string, Promise<unknown>>();

  constructor(
    private readonly dir: string,
    readonly signal?: AbortSignal,
  ) {}

  /** Throws `cancelled` where the export was stopped, `disk_full` where there is no more room. */
  async #put(name: string, write: (target: string) => Promise<number>): Promise<void> {
    if (this.signal?.aborted)
      throw new FacetError("cancelled", "The export was stopped.", { fix: "Run it again: nothing of it was kept." });
    const target = path.join(this.dir, name);
    const folder = path.dirname(target);
    const made = this.#folders.get(folder) ?? mkdir(folder, { recursive: true });
    this.#folders.set(folder, made);
    try {
      await made;
      this.bytes += await write(target);
      this.files += 1;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOSPC") throw cause;
      throw new FacetError("disk_full", "There is no room left for the copy.", { cause });
    }
  }

  file(name: string, content: Uint8Array | string): Promise<void> {
    return this.#put(name, async (target) => {
      await writeFile(target, content);
      return typeof content === "string" ? Buffer.byteLength(content) : content.byteLength;
    });
  }

  json(name: string, value: unknown): Promise<void> {
    return this.file(name, JSON.stringify(value));
  }

  copy(name: string, from: string): Promise<void> {
    return this.#put(name, async (target) => {
      await copyFile(from, target);
      return (await stat(target)).size;
    });
  }
}

/** Does `work` for each of the items, `atOnce` at a time. */
export async function forEach<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const item = items[next++] as T;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
