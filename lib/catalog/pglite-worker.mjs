/**
 * PGlite in a worker thread, spoken to in PostgreSQL's own protocol: each message holds whole frontend messages that end with one that is
 * answered, and gets the backend's bytes. Plain JavaScript, so that Node loads it as it is under Next, tsx and vitest alike.
 */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";
import { pg_trgm } from "@electric-sql/pglite/contrib/pg_trgm";
import { vector } from "@electric-sql/pglite-pgvector";

const port = parentPort;
if (!port) throw new Error("pglite-worker runs in a worker thread only.");

const sentence = (error) => (error instanceof Error ? (error.stack ?? error.message) : String(error?.message ?? error));

let db;
try {
  // A template is an earlier dump, which loads ten times faster than a database is made.
  const loadDataDir = workerData.template ? new Blob([await readFile(workerData.template)]) : undefined;
  db = await PGlite.create({ dataDir: workerData.dataDir ?? undefined, extensions: { vector, pg_trgm }, loadDataDir });
  port.postMessage({ type: "ready" });
} catch (error) {
  port.postMessage({ type: "failed", message: sentence(error) });
}

/** Requests run one after the other: there is one session. */
let last = Promise.resolve();
port.on("message", (message) => {
  last = last.then(async () => {
    try {
      if (message.type === "close") {
        await db?.close();
        port.postMessage({ type: "reply", id: message.id, bytes: new Uint8Array(0) });
        port.close();
        return;
      }
      if (message.type === "dump") {
        const dump = new Uint8Array(await (await db.dumpDataDir("none")).arrayBuffer());
        port.postMessage({ type: "reply", id: message.id, bytes: dump }, [dump.buffer]);
        return;
      }
      const answer = await db.execProtocolRaw(message.bytes);
      // A copy of its own: the answer may be a view of the database's whole memory.
      const bytes = answer.slice();
      port.postMessage({ type: "reply", id: message.id, bytes }, [bytes.buffer]);
    } catch (error) {
      port.postMessage({ type: "reply", id: message.id, error: sentence(error) });
    }
  });
});
