/** The environment of processes that may not leave this machine, and the file that tells who tried. */
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { inRoot } from "./paths.mjs";

/** One JSON object a line: `watched` for each process that started under the guard, `refused` for each request that it refused. */
export const guardLog = inRoot("artefacts", "reports", "foreign-requests.ndjson");

export const guardedEnv = {
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} --require=${JSON.stringify(inRoot("cli", "setup", "loopback-only.cjs"))}`.trim(),
  FACET_GUARD_LOG: guardLog,
};

export function clearGuardLog() {
  mkdirSync(path.dirname(guardLog), { recursive: true });
  rmSync(guardLog, { force: true });
}
