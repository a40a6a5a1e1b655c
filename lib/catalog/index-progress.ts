/** How far the building of an index is, as a server tells it on another connection. */
import type { PoolClient } from "pg";
import type { Database } from "./db";

interface Progress {
  phase: string;
  done: number;
  total: number;
}

export interface IndexWatch {
  /** What is being built now. */
  stage(name: string): void;
  end(): void;
}

const percent = new Intl.NumberFormat("en", { style: "percent" });

/** Asks every second while the transaction's connection builds indexes. The embedded database has one connection and cannot be asked. */
export async function watchIndexes(
  db: Database,
  client: PoolClient,
  onDetail: (stage: string, detail: string) => void,
): Promise<IndexWatch> {
  if (db.kind === "pglite") return { stage() {}, end() {} };
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  let current = "";
  const ask = async () => {
    const asked = current;
    const [now] = await db.rows<Progress>(
      `SELECT phase, (CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END)::float8 AS done,
         (CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END)::float8 AS total
       FROM pg_stat_progress_create_index WHERE pid = $1`,
      [rows[0]?.pid],
    );
    if (!now || asked !== current) return;
    onDetail(asked, now.total > 0 ? `${now.phase}, ${percent.format(now.done / now.total)}` : now.phase);
  };
  const timer = setInterval(() => void ask().catch(() => {}), 1_000);
  return {
    stage(name) {
      current = name;
    },
    end: () => clearInterval(timer),
  };
}
