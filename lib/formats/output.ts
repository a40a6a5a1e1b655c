/** Files and folders that are written whole or not at all: into a draft beside, which takes the name given when it is complete. */
import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { FacetError } from "@/lib/core/errors";

const nothing = "Nothing was written under that name.";

/** Errors of the disk under what is written, as sentences; whatever else went wrong is returned as it is. */
export function asOutputError(error: unknown, target: string, signal?: AbortSignal): unknown {
  if (error instanceof FacetError) return error;
  if (signal?.aborted) {
    return new FacetError("cancelled", `The export was stopped. ${nothing}`, { fix: "Run it again when ready.", cause: error });
  }
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new FacetError("disk_full", `The disk of ${target} is full. ${nothing}`, {
      fix: "Free some space, or name a place on another disk, and run it again.",
      cause: error,
    });
  }
  const refused: Record<string, [string, string]> = {
    EACCES: ["this account may not write there", "Name a place that you may write to."],
    EPERM: ["this account may not write there", "Name a place that you may write to."],
    EROFS: ["that disk can only be read", "Name a place that you may write to."],
    ENOTDIR: ["a part of that path is a file", "Correct the path."],
    EEXIST: ["something else lies there", "Name another place."],
    ENOTEMPTY: ["something was put there meanwhile", "Name another place."],
    EISDIR: ["a folder lies there", "Name another file."],
    ENAMETOOLONG: ["the name is too long", "Choose a shorter name."],
    ELOOP: ["the path leads in a circle", "Correct the path."],
    EINVAL: ["the name is none that a file can have", "Correct the path."],
  };
  const [why, fix] = refused[code] ?? [];
  if (why === undefined) return error;
  return new FacetError("invalid_request", `${target} cannot be written: ${why} (${code}).`, { fix, cause: error });
}

/** Refuses a place where something is; an empty folder counts as nothing where a folder is to be made. */
export async function assertFree(target: string, kind: "file" | "folder"): Promise<void> {
  const there = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw asOutputError(error, target);
  });
  if (there === null) return;
  if (kind === "file" || !there.isDirectory()) {
    throw new FacetError("invalid_request", `${target} is there already.`, { fix: `Name another ${kind}, or remove it first.` });
  }
  const names = await readdir(target).catch((error: unknown) => {
    throw asOutputError(error, target);
  });
  if (names.length > 0) {
    throw new FacetError("invalid_request", `${target} is there and is not empty.`, { fix: "Name another folder, or empty this one." });
  }
}

/** Removes the folders that were made for a target, from the lowest up, as far as they are empty. */
async function removeParents(lowest: string, first: string): Promise<void> {
  for (let folder = lowest; folder.startsWith(first); folder = path.dirname(folder)) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed || folder === first) return;
  }
}

/**
 * Has `work` make a draft beside `target`, which gets that name when it is complete: a file that `work` makes, or a folder that it fills.
 * Whatever `work` or `signal` throws leaves nothing behind. Throws `invalid_request` for a place that is taken or cannot be written,
 * `disk_full` and `cancelled`.
 */
async function writeWhole<T>(
  target: string,
  kind: "file" | "folder",
  work: (draft: string) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await assertFree(target, kind);
  const parent = path.dirname(target);
  const draft = `${target}.${randomUUID().slice(0, 8)}.part`;
  let made: string | undefined;
  try {
    made = await mkdir(parent, { recursive: true });
    if (kind === "folder") await mkdir(draft);
    const result = await work(draft);
    signal?.throwIfAborted();
    await assertFree(target, kind);
    if (kind === "folder") {
      // Of an empty folder; one that was filled meanwhile refuses.
      await rmdir(target).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    }
    await rename(draft, target);
    return result;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (made !== undefined) await removeParents(parent, made);
    throw asOutputError(error, target, signal);
  }
}

/** Makes a folder, whole or not at all: `work` fills a draft of it. Throws as `writeWhole`. */
export function writeFolder<T>(folder: string, work: (draft: string) => Promise<T>, signal?: AbortSignal): Promise<T> {
  return writeWhole(folder, "folder", work, signal);
}

/** Makes a file, whole or not at all: `work` writes a draft of it. Throws as `writeWhole`. */
export function writeFile<T>(file: string, work: (draft: string) => Promise<T>, signal?: AbortSignal): Promise<T> {
  return writeWhole(file, "file", work, signal);
}
