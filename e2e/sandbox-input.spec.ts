/** What people give the sandbox: several pictures and turns, and all that it cannot take, which gets a sentence and costs nothing that was typed. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "@playwright/test";
import { routes } from "../lib/core/routes";
import { encodeSteerLink, linkFromRequest, type SteerLink } from "../lib/core/steer-link";
import { sharp } from "../lib/sharp";
import { type Catalogue, expect, expectNoSidewaysScrolling, open, test } from "./site";

const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();
const question = (page: Page) => page.getByRole("textbox", { name: /^Question/ }).last();
const picture = (page: Page) => page.getByRole("region", { name: "Picture", exact: true });
const steered = (page: Page) => page.getByRole("region", { name: /^(Steered|Not steered) answer/ });
const start = (catalogue: Catalogue) =>
  routes.steer({ dictionary: catalogue.dictionary.ref, feature: catalogue.card.index, image: catalogue.card.top[0]?.image });
const square = (colour: string) =>
  sharp({ create: { width: 48, height: 48, channels: 3, background: colour } })
    .png()
    .toBuffer();

/** A request as a link, whatever it holds. */
function link(catalogue: Catalogue, over: Partial<SteerLink> = {}): SteerLink {
  return {
    ...linkFromRequest({
      dictionary: catalogue.dictionary.ref,
      messages: [{ role: "user", content: [{ type: "text", text: "What do you see?" }] }],
      sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
      interventions: [],
      mode: "delta",
      controls: ["baseline"],
      alternatives: 5,
    }),
    ...over,
  };
}
const clampOf = (feature: number, over: object = {}): SteerLink["clamps"][number] => ({
  feature,
  op: "set",
  value: 4,
  unit: "max",
  scope: { type: "all" },
  muted: false,
  solo: false,
  ...over,
});

test.describe.configure({ mode: "default" });

test("takes several pictures over several turns, and clamps cells of the one that is meant", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  await page.getByRole("button", { name: "Another picture" }).click();
  await page.getByLabel("Upload a picture").setInputFiles([{ name: "red.png", mimeType: "image/png", buffer: await square("#c33") }]);
  await expect(picture(page).getByRole("listitem")).toHaveCount(2);
  await page.getByRole("button", { name: "Cells" }).click();
  await page.getByRole("radio", { name: "Picture 2" }).click();
  await runButton(page).click();
  // 16 cells of one picture: the middle third of 12 rows and columns.
  await expect(steered(page)).toContainText(/Changed \d+ of 16 image positions/, { timeout: 60_000 });
  await page.getByRole("button", { name: "Ask a follow-up" }).click();
  await question(page).fill("And what is this?");
  await page.getByRole("button", { name: "Add a picture to this question" }).click();
  await page
    .getByLabel("Upload a picture for question 2")
    .setInputFiles([{ name: "blue.png", mimeType: "image/png", buffer: await square("#33c") }]);
  await expect(page.getByRole("region", { name: "Picture of question 2" })).toContainText("blue.png");
  await expectNoSidewaysScrolling(page);
  // A reload brings back every turn, and the uploads from this browser.
  await page.reload();
  await expect(question(page)).toHaveValue("And what is this?");
  await expect(picture(page)).toContainText("red.png");
  await expect(page.getByRole("region", { name: "Picture of question 2" })).toContainText("blue.png");
  await expect(page.getByRole("radio", { name: "Picture 2" })).toBeChecked();
});

test("takes pictures that are pasted or dropped", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  const give = (type: "paste" | "drop", name: string, bytes: number[]) =>
    page.evaluate(
      ([type, name, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        const target = type === "paste" ? document.body : document.querySelector('section[aria-label="Picture"]');
        const event =
          type === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        target?.dispatchEvent(event);
      },
      [type, name, bytes] as const,
    );
  await give("paste", "pasted.png", [...(await square("#3c3"))]);
  await expect(picture(page)).toContainText("pasted.png");
  await give("drop", "dropped.png", [...(await square("#cc3"))]);
  await expect(picture(page)).toContainText("dropped.png");
});

test("reduces a picture of 40 MB and runs on it", async ({ page, catalogue }) => {
  const folder = await mkdtemp(path.join(tmpdir(), "facet-"));
  const file = path.join(folder, "huge.png");
  const side = 3_740;
  await writeFile(
    file,
    await sharp(randomBytes(side * side * 3), { raw: { width: side, height: side, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer(),
  );
  await open(page, start(catalogue));
  await page.getByLabel("Upload a picture").setInputFiles(file);
  await expect(picture(page)).toContainText("Reduced from 3740 × 3740 to 1536 × 1536 pixels.", { timeout: 60_000 });
  await rm(folder, { recursive: true });
  await runButton(page).click();
  await expect(steered(page)).toContainText(/Changed \d+ of \d+ image positions/, { timeout: 60_000 });
});

test("swaps what is on painted cells for the clamp", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  const card = page.getByRole("region", { name: "Clamps" }).getByRole("listitem").first();
  await card.getByRole("button", { name: "Cells" }).click();
  await card.getByRole("button", { name: /^Swap/ }).click();
  const group = page.getByRole("region", { name: "Clamps" }).getByText(/\d+ features? ablated/);
  await expect(group).toBeVisible({ timeout: 60_000 });
  await expect(card).toContainText(/Ablated there: /);
  await runButton(page).click();
  await expect(steered(page)).toContainText(/Changed 16 of 16 image positions/, { timeout: 60_000 });
  await page.getByRole("button", { name: /^Remove these \d+/ }).click();
  await expect(group).toBeHidden();
  await expect(card).toBeVisible();
});

test.describe("what cannot be taken", () => {
  test.use({ expectedErrors: [/40\d|422|503/] });

  test("is said in a sentence: strengths, prompts, clamps, features, dictionaries", async ({ page, catalogue }) => {
    await open(page, start(catalogue));
    const strength = page.getByRole("textbox", { name: /^Strength of/ });
    for (const [typed, sentence] of [
      ["NaN", "“NaN” is not a number. It stays 4."],
      ["1e9", "1e9 is outside −1,000 to 1,000. It stays 4."],
    ] as const) {
      await strength.fill(typed);
      await strength.blur();
      await expect(page.getByText(sentence)).toBeVisible();
      await expect(strength).toHaveValue("4");
    }

    await question(page).fill("");
    await runButton(page).click();
    await expect(page.getByText("Type a question.", { exact: true })).toBeVisible();

    const long = "is there a lemon in the picture ? ".repeat(100);
    await question(page).fill(long);
    await runButton(page).click();
    await expect(page.getByRole("main").getByRole("alert")).toContainText(/Shorten the prompt or ask for fewer tokens/);
    await expect(question(page)).toHaveValue(long);

    const crowd = link(catalogue, { clamps: Array.from({ length: 200 }, (_, i) => clampOf(i)) });
    await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, r: encodeSteerLink(crowd) }));
    await expect(page.getByText("This link holds 200 clamps; a request holds at most 64.")).toBeVisible();

    const wild = link(catalogue, { clamps: [clampOf(17, { value: 1e9 })] });
    await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, r: encodeSteerLink(wild) }));
    await expect(page.getByText(/The strength of feature 17 in this link is 1000000000; strengths go from/)).toBeVisible();

    const absent = link(catalogue, { clamps: [clampOf(9_999_999)] });
    await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, r: encodeSteerLink(absent) }));
    await expect(page.getByRole("region", { name: "Clamps" }).getByText("not in this dictionary")).toBeVisible();
    await runButton(page).click();
    await expect(page.getByRole("main").getByRole("alert")).toContainText(/9999999/);

    const elsewhere = link(catalogue, { dictionary: "no-model/no-dictionary" });
    await open(page, routes.steer({ r: encodeSteerLink(elsewhere) }));
    await expect(page.getByText(/The catalogue has no dictionary “no-model\/no-dictionary”/)).toBeVisible();
  });
});
