/** Pictures taken with the camera, on a browser that pretends to have one. */
import { findChromium } from "../cli/setup/chromium.mjs";
import { routes } from "../lib/core/routes";
import { expect, expectNoGraveViolations, open, test } from "./site";

test.use({
  launchOptions: {
    executablePath: findChromium() ?? undefined,
    args: [
      ...(process.platform === "linux" ? ["--no-sandbox", "--disable-dev-shm-usage"] : []),
      "--disable-gpu",
      "--use-fake-device-for-media-stream",
    ],
  },
});

test("takes a picture with the camera", async ({ page, context, catalogue }) => {
  await context.grantPermissions(["camera"]);
  await open(page, routes.steer({ dictionary: catalogue.dictionary.ref }));
  await page.getByRole("button", { name: "Camera" }).click();
  const take = page.getByRole("dialog").getByRole("button", { name: "Take the picture" });
  await expect(take).toBeEnabled();
  await expectNoGraveViolations(page);
  await take.click();
  const picture = page.getByRole("region", { name: "Picture" });
  await expect(picture).toContainText("camera.png");
  await expect(page.getByRole("button", { name: "Camera" })).toBeFocused();
  // The camera is let go with the dialog: nothing of it is left in the page.
  await expect(page.locator("video")).toHaveCount(0);
});

test("takes the picture that the tab looks at with the camera, and sends it to nobody", async ({ page, context, catalogue }) => {
  await context.grantPermissions(["camera"]);
  const sent: string[] = [];
  page.on("request", (asked) => {
    if (asked.method() !== "GET") sent.push(asked.url());
  });
  await open(page, routes.ownImage({ dictionary: catalogue.dictionary.ref }));
  await page.getByRole("button", { name: "Camera" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take the picture" }).click();
  await expect(page.getByRole("region", { name: "Your picture" })).toContainText("camera.png");
  await expect(page.locator("[data-row]").first()).toBeVisible({ timeout: 90_000 });
  expect(sent).toEqual([]);
});

test("says what to do where the camera is refused", async ({ page, context, catalogue }) => {
  await context.clearPermissions();
  await open(page, routes.steer({ dictionary: catalogue.dictionary.ref }));
  await page.getByRole("button", { name: "Camera" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("alert")).toHaveText(
    "The camera was refused to this page. Allow it in the browser's settings for this site and try again. Upload, paste or drop a picture instead.",
  );
  await expect(dialog.getByRole("button", { name: "Use the device's own camera or a file" })).toBeVisible();
  await context.grantPermissions(["camera"]);
  await dialog.getByRole("button", { name: "Try again" }).click();
  await expect(dialog.getByRole("button", { name: "Take the picture" })).toBeEnabled();
});
