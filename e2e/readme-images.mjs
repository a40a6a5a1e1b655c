/**
 * Takes the README's two pictures anew, into docs/images, from the built app with the demo's bundle: the objects that one dictionary
 * knows, and a picture on which a feature that was not there is named once it is clamped. Which feature and picture that is, is found by
 * asking the model, so that a new bundle needs no change here; the README's words for it are brought up to date.
 *
 *   npm run readme:images                      starts a server of its own, as the browser tests do
 *   npm run readme:images -- --url http://…    uses one that runs
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { ensureChromium } from "../cli/setup/chromium.mjs";
import { inRoot } from "../cli/setup/paths.mjs";
import { start } from "../cli/setup/processes.mjs";
import { freePort, untilServed } from "../cli/setup/server.mjs";
import { runMain, SetupError } from "../cli/setup/step.mjs";

const question = "What do you see?";
const strength = 4;

/** @param {string} url */
async function getJson(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new SetupError(`${url} answered ${answer.status}.`);
  return answer.json();
}

/**
 * @param {string} base
 * @param {string} dictionary
 * @param {number} feature
 * @param {string} sha256
 * @returns {Promise<Record<string, string>>} the text of each arm
 */
async function ask(base, dictionary, feature, sha256) {
  const content = [
    { type: "image", image: { sha256 } },
    { type: "text", text: question },
  ];
  const answer = await fetch(`${base}/api/steer`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      dictionary,
      messages: [{ role: "user", content }],
      interventions: [{ feature, op: "set", value: strength, scope: { type: "image" } }],
      controls: ["baseline"],
    }),
  });
  const events = (await answer.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return Object.fromEntries(events.flatMap(({ type, receipt }) => (type === "receipt" ? [[receipt.arm, receipt.text]] : [])));
}

/**
 * The pair of a feature and a picture whose steered answer names the feature's thing, absent before, and keeps most of its other words.
 * @param {string} base
 * @param {string} ref
 */
async function telling(base, ref) {
  const list = `${base}/api/features?dictionary=${encodeURIComponent(ref)}&sort=-steer&concept=object&limit=12`;
  const { items } = await getJson(list);
  const labelled = items.filter((/** @type {any} */ { label, top }) => label && top.length > 0);
  const images = [...new Set(labelled.flatMap((/** @type {any} */ { top }) => top.slice(0, 2).map((/** @type {any} */ one) => one.image)))];
  /** @type {{ index: number, label: string, image: string, kept: number } | null} */
  let best = null;
  for (const { index, label, top } of labelled) {
    const own = new Set(top.map((/** @type {any} */ one) => one.image));
    for (const image of images.filter((sha256) => !own.has(sha256)).slice(0, 10)) {
      const { steered = "", baseline = "" } = await ask(base, ref, index, image);
      const named = new RegExp(`\\b${label}\\b`);
      if (!named.test(steered) || named.test(baseline)) continue;
      const words = new Set(steered.split(/\s+/));
      const before = [...new Set(baseline.split(/\s+/))];
      const kept = before.filter((word) => words.has(word)).length / before.length;
      if (!best || kept > best.kept) best = { index, label, image, kept };
    }
  }
  if (!best) throw new SetupError(`No feature of ${ref} was named when it was clamped; the README's picture would show nothing.`);
  return best;
}

/** @param {string} base */
async function take(base) {
  const { items } = await getJson(`${base}/api/dictionaries`);
  const ref = (items.find((/** @type {any} */ { engine }) => engine === "ready") ?? items[0]).ref;
  const subject = await telling(base, ref);
  console.log(
    `"${subject.label}" (#${subject.index}) on ${subject.image.slice(0, 12)}; ${Math.round(subject.kept * 100)} % of the other words stay`,
  );

  const { chromium } = await import("playwright");
  const executablePath = await ensureChromium(console.log);
  const args = process.platform === "linux" ? ["--no-sandbox", "--disable-gpu", "--disable-quic"] : [];
  const browser = await chromium.launch({ executablePath, args });
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light", reducedMotion: "reduce" });
  const sharp = createRequire(import.meta.url)("sharp");
  /** @param {string} name */
  const keep = async (name) => {
    await page.mouse.move(0, 0);
    await page.waitForLoadState("networkidle");
    // Heat is drawn a moment after the pictures are there.
    await page.waitForTimeout(1500);
    await sharp(await page.screenshot())
      .webp({ quality: 86 })
      .toFile(inRoot("docs", "images", `${name}.webp`));
    console.log(`docs/images/${name}.webp`);
  };

  const [model = "", dictionary = ""] = ref.split("/");
  const path = `${encodeURIComponent(model)}/${encodeURIComponent(dictionary)}`;
  await page.goto(`${base}/d/${path}?concept=object&sort=-iou`, { waitUntil: "load" });
  await keep("dictionary");

  const query = new URLSearchParams({ dictionary: ref, feature: String(subject.index), image: subject.image });
  await page.goto(`${base}/steer?${query}`, { waitUntil: "networkidle" });
  const main = page.getByRole("main");
  const value = main.getByRole("textbox", { name: /^Strength of/ }).or(main.getByRole("spinbutton", { name: /^Strength of/ }));
  await value.fill(String(strength));
  await value.press("Enter");
  await main.getByRole("button", { name: "Run", exact: true }).first().click();
  for (const name of ["Steered", "Baseline"]) {
    await page
      .getByRole("region", { name: `${name} answer` })
      .getByText("Receipt")
      .first()
      .waitFor({ timeout: 60_000 });
  }
  await page.evaluate(() => window.scrollTo(0, 0));
  await keep("steer");
  await browser.close();

  const readme = inRoot("README.md");
  const text = readFileSync(readme, "utf8");
  writeFileSync(readme, text.replace(/(!\[The sandbox: a feature for )"[^"]*"/, `$1"${subject.label}"`));
}

await runMain(async () => {
  const { url } = parseArgs({ options: { url: { type: "string" } } }).values;
  if (url) {
    await take(url.replace(/\/$/, ""));
    return 0;
  }
  const port = await freePort();
  const server = start(process.execPath, [inRoot("e2e", "serve.mjs"), "--port", String(port)], { stdio: ["ignore", "inherit", "inherit"] });
  try {
    const base = `http://127.0.0.1:${port}`;
    if (!(await untilServed(`${base}/`, server, 10 * 60_000))) throw new SetupError("The server ended. The lines above say why.");
    await take(base);
  } finally {
    server.kill("SIGTERM");
  }
  return 0;
});
