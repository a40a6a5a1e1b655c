import { expect, it } from "vitest";
import { FacetError } from "./errors";
import { type Missing, missingHeader, missingStatus, readMissing, writeMissing } from "./missing";

const read = (value: string) => readMissing(new Headers({ [missingHeader]: value }));

it("reads what was written, in any script", () => {
  for (const missing of [
    { kind: "dictionary", ref: "modell/wörter 🥝" },
    { kind: "feature", ref: "a/b", index: "9999" },
    { kind: "image", sha256: "0".repeat(64) },
  ] satisfies Missing[]) {
    expect(read(writeMissing(missing))).toEqual(missing);
  }
});

it("takes a header that the proxy did not write for none", () => {
  for (const value of ["", "%", "{", "null", "7", encodeURIComponent('{"kind":"nothing"}')]) expect(read(value), value).toBeNull();
  expect(readMissing(new Headers())).toBeNull();
});

it("gives each its status", () => {
  const error = (code: "catalogue_locked" | "unknown_query_key") => ({ kind: "error" as const, error: new FacetError(code, "").toJSON() });
  expect(missingStatus({ kind: "image", sha256: "0" })).toBe(404);
  expect(missingStatus({ kind: "version", ref: "a/b", asked: "0", present: [] })).toBe(409);
  expect(missingStatus(error("catalogue_locked"))).toBe(503);
  expect(missingStatus(error("unknown_query_key"))).toBe(400);
  // A key cut in the middle of a character.
  const cut: Missing = { kind: "error", error: new FacetError("unknown_query_key", "\ud83e").toJSON(), ref: "a/b" };
  expect(read(writeMissing(cut))).toEqual(cut);
});
