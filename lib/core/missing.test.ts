import { expect, it } from "vitest";
import { type Missing, missingHeader, readMissing, writeMissing } from "./missing";

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
