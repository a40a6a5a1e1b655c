import { expect, it } from "vitest";
import { parseRange } from "./byte-range";

it("reads one range of bytes, and answers the whole for what is none", () => {
  expect(parseRange("bytes=0-3", 10)).toEqual({ first: 0, last: 3 });
  expect(parseRange("bytes=4-", 10)).toEqual({ first: 4, last: 9 });
  expect(parseRange("bytes=4-400", 10)).toEqual({ first: 4, last: 9 });
  expect(parseRange("bytes=-3", 10)).toEqual({ first: 7, last: 9 });
  expect(parseRange("bytes=-30", 10)).toEqual({ first: 0, last: 9 });
  for (const header of [null, "", "bytes=-", "bytes=3-1", "bytes=0-1,3-4", "items=0-1", "bytes=a-b"])
    expect(parseRange(header, 10)).toBeNull();
  for (const header of ["bytes=10-", "bytes=10-20", "bytes=-0"]) expect(parseRange(header, 10)).toBe("unsatisfiable");
});
