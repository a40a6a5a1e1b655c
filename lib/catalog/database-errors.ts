/** What the database's own error codes mean for Facet, each as a sentence with what to do. */
import { type ErrorCode, FacetError } from "@/lib/core/errors";

type Kind = "pglite" | "postgres";

/** What a refused connection asks for, by PostgreSQL's or Node's code. */
const remedies: Record<string, string> = {
  "28P01": "Correct the user or the password in DATABASE_URL.",
  "28000": "Correct the user in DATABASE_URL, or allow it on the server (pg_hba.conf; ?sslmode=require where the server wants TLS).",
  "3D000": "Create the database that DATABASE_URL names, or correct its name.",
  "42501": "As an administrator: GRANT CONNECT on that database to the role that DATABASE_URL names.",
  "53300": "The server has no connection to spare: raise its max_connections, or stop what holds them.",
  "57P03": "The server is starting or stopping: wait a moment.",
  ECONNREFUSED: "Start the server that DATABASE_URL names, or correct its host and port.",
  ENOTFOUND: "Correct the host in DATABASE_URL.",
  EAI_AGAIN: "Correct the host in DATABASE_URL.",
  ETIMEDOUT: "Correct the host in DATABASE_URL, or open the way to it (a firewall that drops packets looks like this).",
  ...Object.fromEntries(
    // By an administrator, by a crash (of which a full disk is one), by the connection's end alone.
    ["57P01", "57P02", "ECONNRESET"].map((code) => [
      code,
      "The server ended the connection: its log says why (a full disk does this too). Start it where it has stopped, and run this again.",
    ]),
  ),
  ERR_INVALID_URL: "Write it as postgres://user:password@host:5432/database.",
};

const fault = (code: ErrorCode, message: string, cause: unknown, fix?: string) => new FacetError(code, message, { fix, cause });

const denied = /(permission denied|must be (owner|superuser))[^\n]*/;

/** Where there is no code: pg's own time limit, a connection that broke, and what the migrations' runner wraps. */
function codeOfMessage(message: string): string | null {
  if (/timeout.*connect|connection timeout/i.test(message)) return "ETIMEDOUT";
  if (/connection terminated|not queryable/i.test(message)) return "ECONNRESET";
  return denied.test(message) ? "42501" : null;
}

/** Errors of the connection and of rights; whatever else a statement throws is returned as it is. */
export function asCatalogueError(error: unknown, kind: Kind): unknown {
  if (error instanceof FacetError) return error;
  const { message = "", code: given } = (error ?? {}) as { message?: string; code?: unknown };
  const code = typeof given === "string" ? given : codeOfMessage(message);
  if (code === null) return error;
  if (code === "42P01") return fault("catalogue_outdated", "The database does not have this version's tables.", error);
  if (code === "42501" && !/permission denied for database/.test(message)) {
    return fault(
      "catalogue_forbidden",
      `The role that DATABASE_URL names may not do this: ${denied.exec(message)?.[0] ?? message}.`,
      error,
      "`npm run facet doctor` says which right is missing and how to give it.",
    );
  }
  if (/could not open extension control file|extension ".*" is not available/.test(message)) {
    return fault(
      "catalogue_outdated",
      `The server lacks an extension: ${message}.`,
      error,
      "`npm run facet doctor` says which package brings it.",
    );
  }
  if (code in remedies || /^(ECONN|EPIPE|EHOST|ENET)/.test(code) || /^(08|57P)/.test(code)) {
    return fault(
      "catalogue_unreachable",
      kind === "postgres" ? "The database that DATABASE_URL names does not answer." : "The embedded catalogue does not answer.",
      error,
      kind === "postgres" ? (remedies[code] ?? "Check that DATABASE_URL is right and that its server answers.") : undefined,
    );
  }
  return error;
}
