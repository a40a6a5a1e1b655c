/** How a tab reads the files of a static copy. Long lists are read once and kept. */
import { FacetError } from "@/lib/core/errors";

/** Answers with the JSON of a file by its path from the copy's root; null where there is none. */
export type ReadFile = (path: string, signal?: AbortSignal) => Promise<unknown>;

const reread = "Load the page again; if it fails again, put the whole folder up anew.";

/** Over HTTP from the copy's own address. Throws `catalogue_unreachable`; an abort is passed on as it is. */
export const fetchFile: ReadFile = async (path, signal) => {
  const base = process.env.NEXT_PUBLIC_FACET_BASE ?? "";
  let answer: Response;
  try {
    answer = await fetch(`${base}/${path}`, { signal });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new FacetError("catalogue_unreachable", "The host of this page does not answer.", {
      fix: "Check the connection, then try again.",
      cause,
    });
  }
  if (answer.status === 404 || answer.status === 410) return null;
  if (!answer.ok) {
    throw new FacetError("catalogue_unreachable", `The host of this page answered with status ${answer.status}.`, {
      fix: "Try again later.",
    });
  }
  try {
    return await answer.json();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    // Some hosts answer with a page for what they lack.
    throw new FacetError("catalogue_unreachable", `The file ${path} of this copy broke off, or is none of its own.`, {
      fix: reread,
      cause,
    });
  }
};

export class DataFiles {
  readonly #kept = new Map<string, Promise<unknown>>();

  constructor(private readonly read: ReadFile) {}

  /** A file that may be missing: null then. */
  async find<T>(path: string, signal?: AbortSignal): Promise<T | null> {
    return (await this.read(path, signal)) as T | null;
  }

  /** A file that belongs to every whole copy. Throws `catalogue_unreachable` where it is missing. */
  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    const value = await this.find<T>(path, signal);
    if (value === null) throw new FacetError("catalogue_unreachable", `The file ${path} of this copy is missing.`, { fix: reread });
    return value;
  }

  /** What `make` makes of a file, once for all that ask: nobody's leaving ends the reading. */
  keep<F, T>(path: string, make: (file: F) => T): Promise<T> {
    const known = this.#kept.get(path);
    if (known) return known as Promise<T>;
    const made = this.get<F>(path).then(make);
    this.#kept.set(path, made);
    made.catch(() => this.#kept.delete(path));
    return made;
  }
}
