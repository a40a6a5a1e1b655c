/**
 * Uploaded pictures, kept in this browser (IndexedDB) under the SHA-256 of their bytes: a link can only name them. Where the browser keeps
 * nothing (private windows of some), they live as long as the page.
 */
export interface Upload {
  sha256: string;
  /** What is shown and sent. */
  dataUrl: string;
  name: string;
  addedAt: number;
}

const databaseName = "facet";
const storeName = "uploads";
/** Older ones go first. */
const kept = 40;

const memory = new Map<string, Upload>();

function settle<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function openStore(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const opening = indexedDB.open(databaseName, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(storeName, { keyPath: "sha256" });
  return (await settle(opening)).transaction(storeName, mode).objectStore(storeName);
}

/** Keeps a picture; false when the browser would not store it beyond this page. */
export async function keepUpload(upload: Upload): Promise<boolean> {
  memory.set(upload.sha256, upload);
  try {
    const store = await openStore("readwrite");
    await settle(store.put(upload));
    const all: Upload[] = await settle(store.getAll());
    for (const old of all.sort((a, b) => b.addedAt - a.addedAt).slice(kept)) store.delete(old.sha256);
    return true;
  } catch {
    return false;
  }
}

/** The picture with that hash, or null when it is not in this browser. */
export async function findUpload(sha256: string): Promise<Upload | null> {
  const known = memory.get(sha256);
  if (known) return known;
  try {
    const found: Upload | undefined = await settle((await openStore("readonly")).get(sha256));
    if (found) memory.set(sha256, found);
    return found ?? null;
  } catch {
    return null;
  }
}
