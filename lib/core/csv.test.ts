import { expect, it } from "vitest";
import { csvLines } from "./csv";

it("writes and escapes", () => {
  expect(
    csvLines([
      ["index", "label"],
      [1, 'a "ripe", lemon'],
      [2, null],
      [-3, true],
    ]),
  ).toBe('index,label\r\n1,"a ""ripe"", lemon"\r\n2,\r\n-3,true\r\n');
});

it.each(["=1+1", "+1", "-1", "@SUM(A1)", "＝1", " =1"])("makes %j a text, which no spreadsheet runs", (text) => {
  expect(csvLines([[text]])).toBe(`'${text}\r\n`);
});

it.each(["\r=1", "\n=1", "\tx", '=HYPERLINK("x","y")'])("quotes %j too", (text) => {
  expect(csvLines([[text]])).toBe(`"'${text.replaceAll('"', '""')}"\r\n`);
});

it("makes a formula behind another separator a text too", () => {
  expect(csvLines([["a;=1+1", "a; b", "lemons; -3", 'x;"@cmd', "a-b", "\t=1"]])).toBe(
    `"a;'=1+1","a; b","lemons; '-3","x;""'@cmd",a-b,"'\t'=1"\r\n`,
  );
});

it("keeps other scripts, and spaces at the ends", () => {
  expect(csvLines([["狗 🐶", " a", "שלום"]])).toBe('狗 🐶," a",שלום\r\n');
});
