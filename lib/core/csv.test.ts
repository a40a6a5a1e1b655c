import { expect, it } from "vitest";
import { toCsv } from "./csv";

it("writes and escapes", () => {
  expect(
    toCsv(
      ["index", "label"],
      [
        [1, 'a "ripe", lemon'],
        [2, null],
        [3, "=1+1"],
      ],
    ),
  ).toBe('index,label\r\n1,"a ""ripe"", lemon"\r\n2,\r\n3,\'=1+1\r\n');
});
