/**
 * The model on a graphics device, by the one that Chromium computes in software, and what is said when it is lost. Where a browser has none, these
 * tests cannot run and say so.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium } from "../cli/setup/chromium.mjs";
import type { Analysis } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { expect, open, test } from "./site";
import { panel } from "./tab-panel";

test.use({
  launchOptions: {
    executablePath: findChromium() ?? undefined,
    args: [
      ...(process.platform === "linux" ? ["--no-sandbox", "--disable-dev-shm-usage"] : []),
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--enable-features=Vulkan",
      "--use-vulkan=swiftshader",
      "--enable-unsafe-swiftshader",
      "--ignore-gpu-blocklist",
    ],
  },
  // What the browser itself says of the device that is taken away.
  expectedErrors: [/WebGPU|GPU|device/i],
});

test("on the graphics device the model finds what the server's finds; when it is lost, a sentence says so and the processor goes on", async ({
  page,
  browser,
  request,
  catalogue,
}) => {
  test.setTimeout(240_000);
  const { dictionary } = catalogue;
  await open(page, routes.ownImage({ dictionary: dictionary.ref }));
  const offered = await page.evaluate(async () => {
    const { gpu } = navigator as Navigator & { gpu?: { requestAdapter(): Promise<unknown> } };
    return Boolean(await gpu?.requestAdapter().catch(() => null));
  });
  test.skip(!offered, "This browser has no graphics device to compute with, not even one in software.");
  const fetched = new Set<string>();
  page.on("request", (asked) => {
    const [name] = /[^/]+\.wasm$/.exec(new URL(asked.url()).pathname) ?? [];
    if (name) fetched.add(name);
  });
  const file = path.join(path.dirname(fileURLToPath(import.meta.url)), "fixtures", "pictures", "odd.png");
  const choose = () => page.locator("main input[type=file]").setInputFiles(file);
  await choose();
  await expect(panel(page)).toContainText("Runs here, on the graphics device (WebGPU).", { timeout: 150_000 });
  expect([...fetched], "the one build that is used").toEqual(["ort-wasm-simd-threaded.asyncify.wasm"]);

  // Sums in another order than the processor's: the strongest are the same, to a thousandth.
  const dataUrl = `data:image/png;base64,${readFileSync(file).toString("base64")}`;
  const answer = await request.post(routes.api.analyse(), { data: { dictionary: dictionary.ref, image: { dataUrl }, limit: 200 } });
  const server = (await answer.json()) as Analysis;
  const wanted = server.features.filter(({ alwaysOn, sink }) => !alwaysOn && !sink).slice(0, 5);
  const expectRows = async () => {
    const rows = page.locator("[data-row]");
    await expect(rows.first()).toBeVisible({ timeout: 90_000 });
    await page.getByRole("radio", { name: "Mean" }).click();
    for (const [i, { label, mean }] of wanted.entries()) {
      const name = (await rows.nth(i).getAttribute("aria-label")) ?? "";
      expect(name.startsWith(`${label ?? "unexplained"}, `), `${name} where the server has ${label}`).toBe(true);
      expect(Math.abs(Number(/, ([\d.]+)$/.exec(name)?.[1]) - mean)).toBeLessThanOrEqual(0.006 * Math.max(1, mean));
    }
  };
  await expectRows();

  // The device is taken away, as a crashed driver takes it.
  const session = await browser.newBrowserCDPSession();
  await session.send("Browser.crashGpuProcess");
  await choose();
  await expect(page.getByText("The browser's graphics device was lost or failed while the model ran.")).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText("Run it again: the model is loaded anew, without the graphics device.")).toBeVisible();
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(panel(page)).toContainText("The browser lost its graphics device, so the processor computes.", { timeout: 60_000 });
  await expect(panel(page)).toContainText(/Runs here, on (\d threads|one thread)/);
  await expectRows();
});
