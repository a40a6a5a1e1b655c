import { expect, it } from "vitest";
import { fileName, traceCsv } from "./trace-export";

it("writes the ranking with every number whole, and texts that no spreadsheet runs", () => {
  const at = { positions: [], values: [] };
  const rows = [
    {
      feature: 7,
      label: "a dog, red",
      concept: "object" as const,
      kinds: [],
      image: 0.123456789,
      text: -1,
      value: -0.876543211,
      measured: null,
      at,
    },
    { feature: 8, label: "=1+1", concept: null, kinds: ["sink" as const], image: 0, text: 0.5, value: 0.5, measured: 0.25, at },
  ];
  expect(traceCsv(rows).split("\r\n")).toEqual([
    "rank,feature,label,concept,estimated,measured,image,text,always_on,sink,positional",
    '1,7,"a dog, red",object,-0.876543211,,0.123456789,-1,false,false,false',
    "2,8,'=1+1,,0.5,0.25,0,0.5,false,true,false",
    "",
  ]);
});

it("names files by the word", () => {
  expect([fileName(" Dog!", "csv"), fileName("→", "json")]).toEqual(["trace-dog.csv", "trace-token.json"]);
});
