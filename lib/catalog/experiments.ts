/** Saved experiments: written once from a recorded run, listed, searched and read. */
import { createHash } from "node:crypto";
import type { PoolClient } from "pg";
import { FacetError } from "@/lib/core/errors";
import {
  armText,
  checkReceipts,
  type Experiment,
  type ExperimentPicture,
  type ExperimentSummary,
  experimentSchema,
  type LabelledClamp,
  picturesOf,
  questionOf,
  receiptsOf,
  type SaveExperiment,
  searchedText,
  usualTitle,
} from "@/lib/core/experiment";
import type { GenerateRequest } from "@/lib/core/protocol";
import { openPicture } from "@/lib/formats/images/picture";
import type { Database, Queryable } from "./db";
import { featureNames } from "./feature-units";
import { findImage } from "./images";
import { findRun, type RecordedRun, shortId } from "./runs";

/** Of what is written; a later format reads the earlier ones. */
const format = 1;

type Stored = Omit<ExperimentSummary, "id" | "createdAt">;
type Content = { format: number; run: string; title: string; note: string } & RecordedRun;
type Picture = ExperimentPicture & { bytes: Uint8Array };

const hashOf = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest();
/** What no database takes in a text. */
const withoutZeros = (text: string) => text.replaceAll("\0", " ");

/** The clamps with the names that the catalogue has for them now; without, where the dictionary is gone. */
async function labelled(db: Database, request: GenerateRequest): Promise<LabelledClamp[]> {
  const indices = [...new Set(request.interventions.map(({ feature }) => feature))];
  const names = await featureNames(db, request.dictionary, indices).catch((error: unknown) => {
    if (error instanceof FacetError && error.code === "dictionary_not_found") return new Map<number, { label: string | null }>();
    throw error;
  });
  return request.interventions.map(({ feature, op, value, unit }) => ({
    feature,
    label: names.get(feature)?.label ?? null,
    op,
    value,
    unit,
  }));
}

const mimes: Record<string, string> = { PNG: "image/png", JPEG: "image/jpeg", WebP: "image/webp", GIF: "image/gif" };

/** The pictures that were sent with the save, by their hash. */
async function readUploads(uploads: readonly Uint8Array[]): Promise<Map<string, Picture>> {
  const read = new Map<string, Picture>();
  for (const bytes of uploads) {
    const { kind, width, height } = await openPicture(bytes);
    const sha256 = hashOf(bytes).toString("hex");
    read.set(sha256, { sha256, mime: mimes[kind] as string, width, height, bytes });
  }
  return read;
}

/** A picture of the catalogue or of another experiment; null where neither has it. */
async function findPicture(db: Database, sha256: string): Promise<Picture | null> {
  try {
    const { bytes, info } = await findImage(db, sha256);
    return { sha256, mime: info.mime, width: info.width, height: info.height, bytes };
  } catch (error) {
    if (error instanceof FacetError && error.code === "image_not_found") return null;
    throw error;
  }
}

/** Every picture of the request with its bytes. Throws `image_not_found` for one that is neither here nor was sent. */
async function gatherPictures(db: Database, request: GenerateRequest, uploads: readonly Uint8Array[]): Promise<Picture[]> {
  const sent = await readUploads(uploads);
  const pictures: Picture[] = [];
  for (const image of picturesOf(request)) {
    if (!("sha256" in image) || pictures.some(({ sha256 }) => sha256 === image.sha256)) continue;
    const found = sent.get(image.sha256) ?? (await findPicture(db, image.sha256));
    if (!found) {
      throw new FacetError("image_not_found", `The picture ${image.sha256.slice(0, 12)}… of this run was uploaded, and is not here.`, {
        fix: "Send its bytes with the experiment, as a data URL in `pictures`.",
      });
    }
    pictures.push(found);
  }
  return pictures;
}

function summaryOf({ title, note, request, events }: Content, clamps: LabelledClamp[]): Stored {
  const [first] = picturesOf(request);
  return {
    title,
    note,
    dictionary: request.dictionary,
    question: questionOf(request),
    picture: first && "sha256" in first ? first.sha256 : null,
    clamps,
    steered: armText(events, "steered") ?? "",
    baseline: armText(events, "baseline"),
    outcome: receiptsOf(events).find(({ arm }) => arm === "steered")?.outcome ?? "unchanged",
    arms: receiptsOf(events).length,
  };
}

async function write(
  client: PoolClient,
  id: string,
  summary: Stored,
  content: string,
  body: string,
  pictures: Picture[],
): Promise<boolean> {
  for (const { sha256, mime, width, height, bytes } of pictures) {
    await client.query(
      "INSERT INTO experiment_picture (sha256, mime, width, height, bytes) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
      [sha256, mime, width, height, Buffer.from(bytes)],
    );
  }
  const { rowCount } = await client.query(
    "INSERT INTO experiment (id, created_at, summary, content, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    [id, new Date(), JSON.stringify(summary), content, body],
  );
  return rowCount === 1;
}

/**
 * Saves a recorded run with a title and a note. The same run under the same words is the same experiment, and is only found again. Throws
 * `run_not_found`, `too_large`, `image_not_found` (an uploaded picture that was not sent), what `openPicture` throws, and `receipt_mismatch`.
 * @param uploads files of the request's uploaded pictures, in any order
 */
export async function saveExperiment(
  db: Database,
  { run, title, note }: Pick<SaveExperiment, "run" | "title" | "note">,
  uploads: readonly Uint8Array[] = [],
): Promise<{ experiment: ExperimentSummary; created: boolean }> {
  const recorded = await findRun(db, run);
  return keepExperiment(db, { run, title, note, ...recorded }, uploads);
}

/** Saves a run that is at hand, with its request and events. Throws as `saveExperiment`, but for `run_not_found`. */
export async function keepExperiment(
  db: Database,
  { run, title, note, request, events }: Pick<SaveExperiment, "run" | "title" | "note"> & RecordedRun,
  uploads: readonly Uint8Array[] = [],
): Promise<{ experiment: ExperimentSummary; created: boolean }> {
  checkReceipts(request, events);
  const pictures = await gatherPictures(db, request, uploads);
  const clamps = await labelled(db, request);
  const named = title || usualTitle(clamps, questionOf(request));
  const content: Content = { format, run, title: named, note, request, events };
  const text = JSON.stringify(content);
  const id = shortId(hashOf(text));
  const summary = summaryOf(content, clamps);
  const created = await db.transaction((client) =>
    write(client, id, summary, text, searchedText({ ...summary, request, events }), pictures),
  );
  const [row] = await db.rows<SummaryRow>("SELECT id, created_at, summary FROM experiment WHERE id = $1", [id]);
  return { experiment: toSummary(row as SummaryRow), created };
}

const notFound = (id: string) => new FacetError("experiment_not_found", `No experiment ${id.slice(0, 20)} is saved here.`);

interface SummaryRow {
  id: string;
  created_at: Date;
  summary: string;
}

const toSummary = ({ id, created_at, summary }: SummaryRow): ExperimentSummary => ({
  id,
  createdAt: created_at.toISOString(),
  ...(JSON.parse(summary) as Stored),
});

/** One experiment as it was saved. Throws `experiment_not_found`; `internal` where its record is no longer what its id was made from. */
export async function findExperiment(db: Queryable, id: string): Promise<Experiment> {
  const [row] = await db.rows<SummaryRow & { content: string }>(
    "SELECT id, created_at, summary, content FROM experiment WHERE id = $1::text",
    [withoutZeros(id)],
  );
  if (!row) throw notFound(id);
  if (shortId(hashOf(row.content)) !== id) {
    throw new FacetError("internal", `The record of the experiment ${id} was altered in the database since it was saved.`, {
      fix: "Restore the database from a backup.",
    });
  }
  const { run, request, events } = JSON.parse(row.content) as Content;
  const hashes = picturesOf(request).flatMap((image) => ("sha256" in image ? [image.sha256] : []));
  const pictures = await db.rows<ExperimentPicture>("SELECT sha256, mime, width, height FROM experiment_picture WHERE sha256 = ANY($1)", [
    hashes,
  ]);
  const [receipt] = receiptsOf(events);
  const experiment = experimentSchema.safeParse({
    ...toSummary(row),
    run,
    request,
    pictures: [...new Set(hashes)].flatMap((sha256) => pictures.find((picture) => picture.sha256 === sha256) ?? []),
    hashes: { model: receipt?.model, dictionary: receipt?.dictionary },
    engine: receipt?.engine,
    events,
  });
  if (experiment.success) return experiment.data as Experiment;
  throw new FacetError("internal", `The experiment ${id} was saved by another version of Facet, and this one cannot read it.`, {
    fix: "Open it with the version that saved it, or a newer one.",
    cause: experiment.error,
  });
}

export interface ExperimentPage {
  items: ExperimentSummary[];
  /** Cursor of the next page; null at the end. */
  next: string | null;
  /** How many the search finds in all. */
  total: number;
}

/** Milliseconds and id of the last row of a page. */
function readCursor(cursor: string | null): [Date, string] | null {
  if (cursor === null) return null;
  const [, ms, id] = /^(\d{1,15})-([a-z2-7]{16})$/.exec(cursor) ?? [];
  if (!ms || !id) throw new FacetError("invalid_request", "The cursor is not one of this API.");
  return [new Date(Number(ms)), id];
}

/** The search's words by their stems, or the search as it stands anywhere in the text, so that half a word finds too. */
const matching = "($1::text = '' OR words @@ plainto_tsquery('english', $1::text) OR body ILIKE $2::text)";

/** Experiments from the newest on. Throws `invalid_request` for a foreign cursor. */
export async function listExperiments(
  db: Queryable,
  { q = "", limit, cursor }: { q?: string; limit: number; cursor: string | null },
): Promise<ExperimentPage> {
  const search = withoutZeros(q).trim();
  const found = [search, `%${search.replace(/[\\%_]/g, "\\$&")}%`];
  const [before, id] = readCursor(cursor) ?? [null, null];
  const rows = await db.rows<SummaryRow>(
    `SELECT id, created_at, summary FROM experiment
     WHERE ${matching} AND ($3::timestamptz IS NULL OR created_at < $3 OR (created_at = $3 AND id < $4))
     ORDER BY created_at DESC, id DESC LIMIT $5::int`,
    [...found, before, id, limit + 1],
  );
  const [count] = await db.rows<{ total: number }>(`SELECT count(*)::int AS total FROM experiment WHERE ${matching}`, found);
  const more = rows.length > limit;
  if (more) rows.pop();
  const last = rows.at(-1);
  return { items: rows.map(toSummary), next: more && last ? `${last.created_at.getTime()}-${last.id}` : null, total: count?.total ?? 0 };
}
