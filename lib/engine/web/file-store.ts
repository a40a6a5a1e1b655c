/**
 * The engine's files in the browser: fetched in parts, so that a download that broke off goes on where it stopped, kept in Cache Storage under their hash, and
 * checked by SHA-256 each time before use.
 */
import type { PackageFile } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import { fileAddress, routes } from "@/lib/core/routes";
import { sha256 } from "@/lib/core/sha256";
import type { Unkept } from "./abilities";
import { memoryError } from "./memory";

export const cacheName = "facet-engine-1";
/** What a broken connection loses at most. */
export const partBytes = 4 * 1024 * 1024;

export interface StoreOptions {
  signal: AbortSignal;
  /** Bytes that have arrived since it was last called; a file that starts over counts back. */
  onBytes: (bytes: number) => void;
  /** A file that could not be kept for the next visit, with the reason. */
  onUnkept?: (file: PackageFile, why: Unkept) => void;
  /** Another tab fetches a file, and this one waits for it; then that it waits no more. */
  onWait?: (waits: boolean) => void;
}

const addressOf = (file: PackageFile) => routes.api.engineFile(file.sha256, file.path.split("/").at(-1) as string);

/** Cache Storage, which a page served over plain HTTP from another machine lacks, and some private windows refuse. */
async function openCache(): Promise<Cache | null> {
  try {
    return (await globalThis.caches?.open(cacheName)) ?? null;
  } catch {
    return null;
  }
}

/** Alone among this browser's tabs, where it lets one wait for another: the second finds what the first has fetched. */
async function alone<T>(file: PackageFile, { signal, onWait }: StoreOptions, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return work();
  const name = `facet-engine-${file.sha256}`;
  const atOnce = (await locks.request(name, { ifAvailable: true }, async (lock) => lock && { done: await work() })) as { done: T } | null;
  if (atOnce) return atOnce.done;
  onWait?.(true);
  try {
    return (await locks.request(name, { signal }, () => {
      onWait?.(false);
      return work();
    })) as T;
  } finally {
    onWait?.(false);
  }
}

/** What is kept under a key; nothing where another tab has given the store back meanwhile, or it cannot be read. */
async function lookUp(cache: Cache | null, key: string): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    const known = await cache?.match(key);
    return known ? new Uint8Array(await known.arrayBuffer()) : null;
  } catch (cause) {
    const full = memoryError(cause);
    if (full) throw full;
    return null;
  }
}

const drop = async (cache: Cache | null, key: string) => void (await cache?.delete(key).catch(() => false));

function interrupted(file: PackageFile, cause: unknown): FacetError {
  return new FacetError("engine_unavailable", `The download of ${file.path} broke off.`, {
    fix: "Check the connection and try again: what has arrived is kept, and the download goes on from there.",
    cause,
  });
}

/** Part of a file from the server; the whole, where the server answers no ranges. */
async function fetchPart(file: PackageFile, first: number, options: StoreOptions): Promise<Uint8Array<ArrayBuffer>> {
  const last = Math.min(first + partBytes, file.bytes) - 1;
  let arrived = 0;
  try {
    // The browser's own cache would keep each part a second time.
    const answer = await fetch(addressOf(file), {
      headers: { range: `bytes=${first}-${last}` },
      signal: options.signal,
      cache: "no-store",
    });
    if (answer.status === 404) {
      throw new FacetError("engine_unavailable", `The server no longer has ${file.path} as this page knows it.`, {
        fix: "Reload the page.",
      });
    }
    if (!answer.ok || !answer.body) {
      throw new FacetError("engine_unavailable", `The server did not give ${file.path}: it answered ${answer.status}.`, {
        fix: "Try again in a while: what has arrived is kept, and the download goes on from there.",
      });
    }
    const wanted = answer.status === 206 ? last - first + 1 : file.bytes;
    const bytes = new Uint8Array(wanted);
    const reader = answer.body.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      if (arrived + read.value.length > wanted) throw new Error("more than was asked for");
      bytes.set(read.value, arrived);
      arrived += read.value.length;
      options.onBytes(read.value.length);
    }
    if (arrived !== wanted) throw new Error(`${arrived} of ${wanted} bytes`);
    // A whole file where a later part was asked for: the earlier ones are counted already.
    if (answer.status === 200) options.onBytes(-first);
    return bytes;
  } catch (cause) {
    options.onBytes(-arrived);
    if (options.signal.aborted) throw new FacetError("cancelled", "The download was stopped.", { cause });
    if (cause instanceof FacetError) throw cause;
    throw memoryError(cause) ?? interrupted(file, cause);
  }
}

async function keep(cache: Cache | null, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  try {
    await cache?.put(key, new Response(bytes, { headers: { "content-length": String(bytes.length) } }));
    return cache !== null;
  } catch {
    // The disk or the browser's share of it is full: the file is used, and fetched again next time.
    return false;
  }
}

async function download(file: PackageFile, cache: Cache | null, options: StoreOptions): Promise<Uint8Array<ArrayBuffer>> {
  const address = addressOf(file);
  const keyOf = (first: number) => `${address}?from=${first}`;
  const whole = new Uint8Array(file.bytes);
  const kept: string[] = [];
  for (let first = 0; first < file.bytes; first += partBytes) {
    const key = keyOf(first);
    const known = await lookUp(cache, key);
    let part: Uint8Array<ArrayBuffer>;
    if (known) {
      part = known;
      options.onBytes(part.length);
    } else {
      part = await fetchPart(file, first, options);
      if (part.length === file.bytes) {
        whole.set(part);
        break;
      }
      await keep(cache, key, part);
    }
    kept.push(key);
    whole.set(part.subarray(0, file.bytes - first), first);
  }
  const found = await sha256(whole);
  for (const key of kept) await drop(cache, key);
  if (found !== file.sha256) {
    options.onBytes(-file.bytes);
    throw new FacetError("engine_unavailable", `${file.path} arrived damaged: it is not the file that this server describes.`, {
      fix: "Try again: it is fetched anew. If it fails again, something between here and the server changes it.",
    });
  }
  if (!(await keep(cache, address, whole))) options.onUnkept?.(file, cache ? "full" : "none");
  return whole;
}

/** A file's bytes, from the browser's store or the server. Throws `engine_unavailable` and `engine_out_of_memory` with what to do, and `cancelled`. */
export async function loadFile(file: PackageFile, options: StoreOptions): Promise<Uint8Array<ArrayBuffer>> {
  const cache = await openCache();
  try {
    return await alone(file, options, async () => {
      const bytes = await lookUp(cache, addressOf(file));
      if (bytes) {
        if (bytes.length === file.bytes && (await sha256(bytes)) === file.sha256) {
          options.onBytes(bytes.length);
          return bytes;
        }
        await drop(cache, addressOf(file));
      }
      return await download(file, cache, options);
    });
  } catch (cause) {
    if (cause instanceof FacetError) throw cause;
    if (options.signal.aborted) throw new FacetError("cancelled", "The download was stopped.", { cause });
    throw memoryError(cause) ?? interrupted(file, cause);
  }
}

/** Bytes of all that is kept, of whatever model. */
export async function storedBytes(): Promise<number> {
  const cache = await openCache();
  let sum = 0;
  for (const request of (await cache?.keys()) ?? []) {
    const answer = await cache?.match(request);
    sum += Number(answer?.headers.get("content-length") ?? 0);
  }
  return sum;
}

/** Which of these files are kept whole, in bytes. */
export async function keptBytes(files: readonly PackageFile[]): Promise<number> {
  const cache = await openCache();
  let sum = 0;
  for (const file of files) if (await cache?.match(addressOf(file))) sum += file.bytes;
  return sum;
}

/** Of this app alone: copies in other folders of the same host share the store, and know nothing of each other's needs. */
const ownFiles = fileAddress("api/engine/files/");
/** Where it stands which files the dictionaries of this browser need, a dictionary an entry. */
const recordPath = fileAddress("api/engine?kept=");

/** Notes before their download which files a dictionary needs, so that no other tab takes them for left over. */
export async function recordNeeded(dictionary: string, files: readonly PackageFile[]): Promise<void> {
  const hashes = new TextEncoder().encode(JSON.stringify(files.map(({ sha256 }) => sha256)));
  await keep(await openCache(), `${recordPath}${encodeURIComponent(dictionary)}`, hashes);
}

/** Gives back what no dictionary needs any more: files, and parts of files, of a model that was exported again since. */
export async function dropOlder(): Promise<void> {
  const cache = await openCache();
  const needed = new Set<string>();
  const files: { request: Request; sha256: string }[] = [];
  for (const request of (await cache?.keys()) ?? []) {
    const { pathname, search } = new URL(request.url);
    const sha256 = pathname.startsWith(ownFiles) ? /^[0-9a-f]{64}(?=\/)/.exec(pathname.slice(ownFiles.length))?.[0] : undefined;
    if (sha256) files.push({ request, sha256 });
    else if (`${pathname}${search}`.startsWith(recordPath)) {
      for (const one of ((await (await cache?.match(request))?.json()) ?? []) as string[]) needed.add(one);
    }
  }
  for (const { request, sha256 } of files) if (!needed.has(sha256)) await cache?.delete(request);
}

/** Gives the space back. */
export async function evictAll(): Promise<void> {
  await globalThis.caches?.delete(cacheName);
}
