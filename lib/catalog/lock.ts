/**
 * One process at a time may open an embedded catalogue: two would destroy it. The lock is a file beside it that names its process; a lock
 * whose process is gone is taken over.
 */
import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { FacetError } from "@/lib/core/errors";

interface Owner {
  pid: number;
  /** When the process started, in the kernel's clock; null where that is unknown. Tells a reused pid from its former owner. */
  started: string | null;
  token: string;
}

/** What the kernel says of a process, on systems with /proc; null elsewhere, and where there is none. */
function statusOf(pid: number): { started: string; ended: boolean } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Fields after the command, which is in parentheses and may hold spaces: the state first, the start time as the 20th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Z and X: it has ended, and its parent has not asked how.
    return fields[19] ? { started: fields[19], ended: /^[ZX]/.test(fields[0] ?? "") } : null;
  } catch {
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // EPERM: it lives and is another user's.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const status = statusOf(owner.pid);
  return status === null || (!status.ended && (owner.started === null || status.started === owner.started));
}

function readOwner(file: string): Owner | null {
  try {
    const owner = JSON.parse(readFileSync(file, "utf8")) as Partial<Owner>;
    return typeof owner.pid === "number" && typeof owner.token === "string"
      ? { pid: owner.pid, started: owner.started ?? null, token: owner.token }
      : null;
  } catch {
    return null;
  }
}

export interface Lock {
  release(): void;
}

/**
 * Takes the lock `file` or throws `catalogue_locked`. The lock is given back by `release`, and when the process ends in any way that runs
 * exit handlers; a killed process leaves it to be taken over.
 */
export function takeLock(file: string): Lock {
  mkdirSync(path.dirname(file), { recursive: true });
  const mine: Owner = { pid: process.pid, started: statusOf(process.pid)?.started ?? null, token: randomUUID() };
  const draft = `${file}.${process.pid}.${mine.token.slice(0, 8)}`;
  writeFileSync(draft, JSON.stringify(mine));
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        // A link appears whole or not at all, so nobody reads half a lock.
        linkSync(draft, file);
        return held(file, mine);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const owner = readOwner(file);
      if (owner && isAlive(owner)) {
        throw new FacetError(
          "catalogue_locked",
          `The catalogue in ${path.dirname(file)} is open in another Facet process (number ${owner.pid}).`,
        );
      }
      removeStale(file, owner);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw new FacetError("catalogue_locked", `The catalogue's lock ${file} is being taken by several processes at once.`, {
    fix: "Try again.",
  });
}

/** Moves a dead owner's lock away; puts it back if somebody else's fresh lock was moved instead. */
function removeStale(file: string, stale: Owner | null): void {
  const aside = `${file}.stale.${randomUUID().slice(0, 8)}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = readOwner(aside);
  if (moved && moved.token !== stale?.token && isAlive(moved)) {
    try {
      linkSync(aside, file);
    } catch {
      // A third process has it by now; the next attempt finds that one.
    }
  }
  rmSync(aside, { force: true });
}

function held(file: string, mine: Owner): Lock {
  const release = () => {
    process.off("exit", release);
    if (readOwner(file)?.token === mine.token) {
      try {
        unlinkSync(file);
      } catch {
        // Gone already: somebody removed the data folder.
      }
    }
  };
  process.on("exit", release);
  return { release };
}
