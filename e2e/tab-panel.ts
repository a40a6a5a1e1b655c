/** The panel of the model in the visitor's tab, wherever it stands. */
import type { Page } from "@playwright/test";
import { expect } from "./site";

export const panel = (page: Page) => page.getByRole("region", { name: "The model in this tab" });

/** Resolves when the model runs in the tab. */
export const ready = (page: Page) => expect(panel(page)).toContainText(/Runs here, on (\d threads|one thread)/, { timeout: 90_000 });
