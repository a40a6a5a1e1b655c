import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { generateRequestSchema } from "@/lib/core/protocol";
import { curlSnippet, pythonSnippet, requestJson } from "./snippets";

const request = generateRequestSchema.parse({
  dictionary: "toy/model.layers.1",
  messages: [{ role: "user", content: [{ type: "text", text: `It's "quoted" \\ $HOME \`date\` ''' مرحبا` }] }],
});
const large = generateRequestSchema.parse({
  ...request,
  messages: [{ role: "user", content: [{ type: "image", image: { dataUrl: `data:image/png;base64,${"A".repeat(200_000)}` } }] }],
});

describe("snippets", () => {
  it("give a shell exactly the request", () => {
    const script = curlSnippet(request, "http://localhost:3000").replace(/^curl/, "printf '%s\\n'");
    const lines = execFileSync("sh", ["-c", script], { encoding: "utf8" }).trimEnd().split("\n");
    expect(lines).toContain("http://localhost:3000/api/steer");
    expect(JSON.parse(lines.at(-1) ?? "")).toEqual(request);
  });

  it("give Python exactly the request", () => {
    const [imports = "", , load = ""] = pythonSnippet(request, "http://localhost:3000").split("\n");
    const script = `${imports}\n${load}\nprint(json.dumps(request))`;
    expect(JSON.parse(execFileSync("python3", ["-c", script], { encoding: "utf8" }))).toEqual(request);
  });

  it("put a large request in a file", () => {
    expect(curlSnippet(large, "http://localhost:3000")).toContain("--data @request.json");
    expect(pythonSnippet(large, "http://localhost:3000")).toContain('open("request.json")');
    expect(JSON.parse(requestJson(large))).toEqual(large);
  });
});
