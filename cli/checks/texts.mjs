import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { inRoot, root } from "../setup/paths.mjs";

const mostLines = 400;
const folders = ["app", "components", "lib", "cli", "e2e", "bench", "prisma", "worker", "demo"];
const skipped = new Set(["node_modules", "generated", "fixtures", "__pycache__"]);

/** @typedef {{ name: string, text: string }} SourceFile */

/** @param {string} text */
const firstComment = (text) => text.split("\n").slice(0, 12).join("\n");

/**
 * @param {SourceFile} file
 * @returns {string | null}
 */
export function lengthProblem({ name, text }) {
  const lines = text.split("\n").length - 1;
  if (lines <= mostLines || /long because/i.test(firstComment(text))) return null;
  return `${name}: ${lines} lines. Split it, or begin it with a comment that says "Long because …".`;
}

/**
 * @param {{ name: string }} file
 * @returns {string | null}
 */
export function nameProblem({ name }) {
  const base = path.posix.basename(name);
  if (/^index\.(ts|tsx|mjs)$/.test(base)) return `${name}: a barrel file. Import from the file that has the thing.`;
  if (/(^|\/)(utils?|helpers?)(\.|\/)/.test(name)) return `${name}: name it after what it holds.`;
  return null;
}

const handWritten = [
  /\bhref=(?:"|\{\s*["'`])\/(?!\/)/,
  /\b(?:router|navigation)\.(?:push|replace|prefetch)\(\s*["'`]\//,
  /\b(?:redirect|permanentRedirect)\(\s*["'`]\//,
  /\bfetch\(\s*["'`]\/api\//,
];

/**
 * Addresses come from lib/core/routes.ts, so that a renamed page is one change.
 * @param {SourceFile} file
 * @returns {string[]}
 */
export function addressProblems({ name, text }) {
  if (!/^(app|components|lib)\/.*\.tsx?$/.test(name) || /\.test\.tsx?$/.test(name)) return [];
  return text
    .split("\n")
    .flatMap((line, i) =>
      handWritten.some((pattern) => pattern.test(line)) ? [`${name}:${i + 1}: an address written by hand. Use lib/core/routes.ts.`] : [],
    );
}

/**
 * The worker is a package of its own; the demo's recipe uses it, never the other way round.
 * @param {SourceFile} file
 * @returns {string[]}
 */
export function pythonProblems({ name, text }) {
  if (!/^worker\/.*\.py$/.test(name)) return [];
  return text
    .split("\n")
    .flatMap((line, i) => (/^\s*(?:from|import) demo\b/.test(line) ? [`${name}:${i + 1}: worker/ may not import demo/.`] : []));
}

/** @returns {string[]} files that git tracks or would track; every file where git is not at hand */
function sourceNames() {
  try {
    const list = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...folders, "*.ts"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return list.split("\n");
  } catch {
    return folders.flatMap((folder) =>
      existsSync(inRoot(folder))
        ? readdirSync(inRoot(folder), { recursive: true, encoding: "utf8" }).map((name) =>
            path.posix.join(folder, name.split(path.sep).join("/")),
          )
        : [],
    );
  }
}

/** @returns {{ problems: string[], files: number }} */
export function textProblems() {
  const names = sourceNames().filter(
    (name) => /\.(ts|tsx|mjs|py)$/.test(name) && !name.split("/").some((part) => skipped.has(part)) && existsSync(inRoot(name)),
  );
  const files = names.map((name) => ({ name, text: readFileSync(inRoot(name), "utf8") }));
  const problems = files.flatMap((file) => [
    ...[lengthProblem(file), nameProblem(file)].filter((problem) => problem !== null),
    ...addressProblems(file),
    ...pythonProblems(file),
  ]);
  return { problems, files: files.length };
}
