/**
 * The one table of Facet's errors: every code, its HTTP status and whether trying again can help.
 * A new code that lacks a row does not compile.
 */
export const errorCodes = [
  "invalid_request",
  "unknown_query_key",
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "dictionary_not_found",
  "feature_not_found",
  "image_not_found",
  "experiment_not_found",
  "run_not_found",
  "receipt_mismatch",
  "too_many_saved",
  "saving_off",
  "version_mismatch",
  "protocol_mismatch",
  "too_large",
  "unsupported_image",
  "unreadable_image",
  "clamp_nowhere",
  "clamp_overlap",
  "prompt_empty",
  "prompt_too_long",
  "word_unknown",
  "token_unknown",
  "place_unknown",
  "engine_unavailable",
  "engine_busy",
  "engine_out_of_memory",
  "engine_failed",
  "cancelled",
  "embedder_unavailable",
  "catalogue_locked",
  "catalogue_unreachable",
  "catalogue_outdated",
  "catalogue_forbidden",
  "disk_full",
  "bundle_invalid",
  "file_invalid",
  "format_unknown",
  "unsafe_format",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

interface ErrorRow {
  status: number;
  /** Whether the same request may succeed later. */
  retry: boolean;
  /** What the reader can do, when the thrower has nothing more exact to say. */
  fix: string;
}

export const errorTable: Record<ErrorCode, ErrorRow> = {
  invalid_request: { status: 400, retry: false, fix: "Correct the named field and send the request again." },
  unknown_query_key: { status: 400, retry: false, fix: "Remove the unknown query key; /api/openapi.json lists the known ones." },
  unauthorized: { status: 401, retry: false, fix: "Give the app and its worker the same token, in FACET_WORKER_TOKEN." },
  forbidden: { status: 403, retry: false, fix: "Open Facet under its own address and try there." },
  not_found: { status: 404, retry: false, fix: "Check the address." },
  method_not_allowed: { status: 405, retry: false, fix: "/api/openapi.json says how each address is asked." },
  dictionary_not_found: { status: 404, retry: false, fix: "Choose one that `npm run facet list` or /api/dictionaries names." },
  feature_not_found: { status: 404, retry: false, fix: "Use an index between 0 and the dictionary's number of latents minus one." },
  image_not_found: { status: 404, retry: false, fix: "Use the SHA-256 of an image of the catalogue, or upload the image." },
  experiment_not_found: { status: 404, retry: false, fix: "Check the link; /api/experiments lists what is saved here." },
  run_not_found: { status: 404, retry: false, fix: "Run the request again, to its end, and save that run." },
  receipt_mismatch: { status: 422, retry: false, fix: "Run the request again; if it fails again, the engine's answers cannot be trusted." },
  too_many_saved: { status: 429, retry: true, fix: "Save again later; the run can be saved for a day." },
  saving_off: { status: 403, retry: false, fix: "Share the sandbox's link, which holds the whole request, or take the run as JSON." },
  version_mismatch: { status: 409, retry: false, fix: "Open the unpinned link, or import the version that the link names." },
  protocol_mismatch: { status: 409, retry: false, fix: "Update the older one of the app and its worker." },
  too_large: { status: 413, retry: false, fix: "Send a smaller body." },
  unsupported_image: { status: 415, retry: false, fix: "Convert the image to PNG, JPEG or WebP." },
  unreadable_image: { status: 422, retry: false, fix: "Check that the file is a complete image." },
  clamp_nowhere: { status: 422, retry: false, fix: "Widen the scope, add an image, or correct the feature's index." },
  clamp_overlap: { status: 422, retry: false, fix: "Keep one clamp for each feature where scopes overlap." },
  prompt_empty: { status: 422, retry: false, fix: "Type a question." },
  prompt_too_long: { status: 422, retry: false, fix: "Shorten the prompt or ask for fewer tokens." },
  word_unknown: { status: 422, retry: false, fix: "Watch a word that the model knows; its alternatives show some." },
  token_unknown: {
    status: 422,
    retry: false,
    fix: "Use an id of the model's vocabulary; an answer's tokens and alternatives have theirs.",
  },
  place_unknown: { status: 422, retry: false, fix: "Name a place within the answer, counted from 0." },
  engine_unavailable: { status: 503, retry: true, fix: "Start an engine for this model, or pick a dictionary whose engine is ready." },
  engine_busy: { status: 503, retry: true, fix: "Wait a moment and run again." },
  engine_out_of_memory: { status: 503, retry: true, fix: "Run again; if it fails again, ask for fewer arms, images or tokens." },
  engine_failed: { status: 500, retry: true, fix: "Run again; if it fails again, see the server's log." },
  cancelled: { status: 499, retry: true, fix: "Run again when ready." },
  embedder_unavailable: {
    status: 503,
    retry: true,
    fix: "Check FACET_EMBEDDINGS_URL, _MODEL and _KEY, or unset them to use the embedder in models/minilm.",
  },
  catalogue_locked: { status: 503, retry: true, fix: "Stop the other Facet process that has this catalogue open, or set DATABASE_URL." },
  catalogue_unreachable: { status: 503, retry: true, fix: "Start the database that DATABASE_URL names." },
  catalogue_outdated: { status: 503, retry: false, fix: "Run `npm start`, which applies pending migrations." },
  catalogue_forbidden: { status: 503, retry: false, fix: "Give the role that DATABASE_URL names the right that the message names." },
  disk_full: { status: 507, retry: true, fix: "Free some space and run again." },
  bundle_invalid: { status: 422, retry: false, fix: "Make the bundle again; nothing of it was imported." },
  file_invalid: { status: 422, retry: false, fix: "Correct the named file; nothing was imported." },
  format_unknown: { status: 415, retry: false, fix: "docs/formats.md lists the formats that Facet reads." },
  unsafe_format: { status: 415, retry: false, fix: "Convert the file to safetensors; Facet never unpickles." },
  internal: { status: 500, retry: true, fix: "Try again; if it fails again, see the server's log." },
};

const brand = Symbol.for("facet.error");

/**
 * An error whose message is a sentence for the person; the log gets `cause`. `instanceof` goes by a mark and not by the class: a server's
 * bundles hold several copies of this file, and an engine shared by them throws the errors of one.
 */
export class FacetError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && brand in value;
  }

  readonly [brand] = true;
  override readonly name = "FacetError";
  readonly code: ErrorCode;
  readonly fix: string;
  /** After how many seconds trying again can help, where that is known: an answer's `Retry-After`. */
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options: { fix?: string; cause?: unknown; retryAfterS?: number } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.fix = options.fix ?? errorTable[code].fix;
    this.retryAfterS = options.retryAfterS;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get retry(): boolean {
    return errorTable[this.code].retry;
  }

  /** The wire form, the same on every route and in every stream. */
  toJSON(): { code: ErrorCode; message: string; fix: string; retry: boolean } {
    return { code: this.code, message: this.message, fix: this.fix, retry: this.retry };
  }
}

export function asFacetError(error: unknown): FacetError {
  if (error instanceof FacetError) return error;
  return new FacetError("internal", "Something went wrong on the server.", { cause: error });
}
