/** A request as a command that reproduces it. */
import type { GenerateRequest } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";

/** Beyond this a command line is refused by common systems, so the request goes through a file. */
const longestInline = 100_000;

export const requestJson = (request: GenerateRequest) => JSON.stringify(request, null, 2);

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** For a POSIX shell; `origin` is this server's, e.g. `http://localhost:3000`. */
export function curlSnippet(request: GenerateRequest, origin: string): string {
  const json = JSON.stringify(request);
  const target = quoted(`${origin}${routes.api.steer()}`);
  const head = `curl -sN ${target} -H 'content-type: application/json'`;
  if (json.length > longestInline) return `# request.json: the request as JSON, copied beside this\n${head} --data @request.json`;
  return `${head} --data ${quoted(json)}`;
}

/** Standard library only; prints each arm's text and outcome. */
export function pythonSnippet(request: GenerateRequest, origin: string): string {
  const json = JSON.stringify(request);
  const load = json.length > longestInline ? `open("request.json").read()` : `r'''${json.replaceAll("'", "\\u0027")}'''`;
  return [
    "import json, urllib.request",
    "",
    `request = json.loads(${load})`,
    `post = urllib.request.Request("${origin}${routes.api.steer()}", json.dumps(request).encode(), {"content-type": "application/json"})`,
    "with urllib.request.urlopen(post) as answer:",
    "    for event in map(json.loads, answer):",
    '        if event["type"] == "receipt":',
    '            print(event["receipt"]["arm"], event["receipt"]["outcome"], event["receipt"]["text"])',
    '        elif event["type"] == "error":',
    '            raise SystemExit(event["error"]["message"])',
    "",
  ].join("\n");
}
