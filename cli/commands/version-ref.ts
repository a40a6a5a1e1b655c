import { FacetError } from "@/lib/core/errors";

/** `<model>/<dictionary>[@version]` → its parts; a version is the beginning of the hash, 4 to 64 hexadecimal digits. */
export function splitVersion(named: string): { ref: string; version?: string } {
  const [ref = "", version, ...more] = named.split("@");
  if (!ref.includes("/") || more.length || (version !== undefined && !/^[0-9a-f]{4,64}$/.test(version))) {
    throw new FacetError("invalid_request", `"${named.slice(0, 200)}" does not name a dictionary.`, {
      fix: "Write <model>/<dictionary> or <model>/<dictionary>@<first digits of its hash>; `npm run facet list` shows them.",
    });
  }
  return { ref, version };
}
