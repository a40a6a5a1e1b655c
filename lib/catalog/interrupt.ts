/** Stopping a transaction amid a long statement, such as the building of an index, which no check between statements can do. */
import type { PoolClient } from "pg";
import type { Database } from "./db";

/** How long a transaction on the embedded database has to stop by itself: ending the database's thread is the harder way. */
const grace = 2_000;

/**
 * While the signal is aborted, interrupts what runs on the transaction's connection, again and again, since it may be between two statements.
 * Returns a function that ends that, to be called before the commit.
 */
export async function interruptOn(signal: AbortSignal | undefined, db: Database, client: PoolClient): Promise<() => void> {
  if (!signal) return () => {};
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const pid = rows[0]?.pid ?? 0;
  let timer: NodeJS.Timeout | undefined;
  const interrupt = () => void db.interrupt(pid, client).catch(() => {});
  const begin = () => {
    if (db.kind === "postgres") interrupt();
    timer = setInterval(interrupt, db.kind === "postgres" ? 500 : grace);
  };
  if (signal.aborted) begin();
  else signal.addEventListener("abort", begin, { once: true });
  return () => {
    signal.removeEventListener("abort", begin);
    clearInterval(timer);
  };
}
