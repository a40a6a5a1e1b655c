/** The latest runs as the engine streamed them, from which experiments are saved. */
import { randomBytes } from "node:crypto";
import { FacetError } from "@/lib/core/errors";
import { experimentLimits, isRecorded, type RecordedEvent, receiptsOf, withHashes } from "@/lib/core/experiment";
import { type EngineEvent, type GenerateRequest, generateRequestSchema } from "@/lib/core/protocol";
import type { Database } from "./db";

/** A run can be saved for a day, and while it is among the latest so many. */
const keptRuns = 1_000;
/** How long the end of a stream waits for its record; a database that an import holds up may take longer, and nobody should wait for that. */
const patienceMs = 2_000;

const letters = "abcdefghijklmnopqrstuvwxyz234567";

/** The first 80 bits as 16 letters and digits. */
export function shortId(bytes: Uint8Array): string {
  let id = "";
  for (let i = 0; i < 10; i += 5) {
    let bits = 0n;
    for (const byte of bytes.subarray(i, i + 5)) bits = (bits << 8n) | BigInt(byte);
    for (let shift = 35n; shift >= 0n; shift -= 5n) id += letters[Number((bits >> shift) & 31n)];
  }
  return id;
}

/** Writes a run down and lets the oldest go. A run that was cut, or that gave no receipt, is none. */
async function keepRun(db: Database, id: string, request: GenerateRequest, events: readonly RecordedEvent[]): Promise<void> {
  const [receipt] = receiptsOf(events);
  if (!receipt) return;
  const text = JSON.stringify(events);
  await db.rows("INSERT INTO run (id, recorded_at, request, events) VALUES ($1, $2, $3, $4)", [
    id,
    new Date(),
    JSON.stringify(withHashes(request, receipt.prompt.images)),
    text.length > experimentLimits.runBytes ? null : text,
  ]);
  await db.rows("DELETE FROM run WHERE recorded_at < now() - interval '1 day' OR number <= (SELECT max(number) FROM run) - $1", [keptRuns]);
}

/**
 * Passes an engine's events on, `meta` with the run's id, and keeps the run once it is done. That it could not be kept is told to `onError` and
 * changes nothing for its reader.
 */
export async function* recordRun(
  db: Database,
  request: GenerateRequest,
  events: AsyncIterable<EngineEvent>,
  onError: (error: unknown) => void,
): AsyncGenerator<EngineEvent, void, void> {
  const id = shortId(randomBytes(10));
  const recorded: RecordedEvent[] = [];
  for await (const event of events) {
    if (isRecorded(event)) recorded.push(event);
    if (event.type === "done") {
      const patience = new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref());
      // Before the reader hears that it is done, so that it can be saved at once.
      await Promise.race([keepRun(db, id, request, recorded).catch(onError), patience]);
    }
    yield event.type === "meta" ? { ...event, run: id } : event;
  }
}

export interface RecordedRun {
  request: GenerateRequest;
  events: RecordedEvent[];
}

/** A run that can still be saved. Throws `run_not_found`, and `too_large` where it was too much to be kept. */
export async function findRun(db: Database, id: string): Promise<RecordedRun> {
  const [row] = await db.rows<{ request: string; events: string | null }>("SELECT request, events FROM run WHERE id = $1", [id]);
  if (!row) {
    throw new FacetError(
      "run_not_found",
      "The server no longer has this run: it keeps finished runs for a day, and the latest thousand of them.",
    );
  }
  if (row.events === null) {
    throw new FacetError("too_large", `The run has more than ${experimentLimits.runBytes / 1024 / 1024} MB of tokens and alternatives.`, {
      fix: "Ask for fewer alternatives, strengths or tokens, run again and save that.",
    });
  }
  return { request: generateRequestSchema.parse(JSON.parse(row.request)), events: JSON.parse(row.events) as RecordedEvent[] };
}
