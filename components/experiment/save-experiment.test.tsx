// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { RunState } from "@/components/steer/run-state";
import { TooltipProvider } from "@/components/ui/tooltip";
import { SaveExperiment } from "./save-experiment";

afterEach(() => {
  cleanup();
  sessionStorage.clear();
  vi.unstubAllGlobals();
});

const view = (run: Pick<RunState, "id" | "status" | "inTab">, pictures: string[] = [], off = false) =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <TooltipProvider>
        <SaveExperiment run={run} pictures={() => pictures} off={off} />
      </TooltipProvider>
    </QueryClientProvider>,
  );
const openForm = () => fireEvent.click(screen.getByRole("button", { name: "Save" }));

it("offers only what came to its end", () => {
  for (const status of ["idle", "waiting", "queued", "running", "stopped", "failed"] as const) {
    view({ id: "aaaaaaaaaaaaaaaa", status });
    expect(screen.queryByRole("button"), status).toBeNull();
    cleanup();
  }
});

it("offers nothing of what ran in this tab, wherever the next run would go", () => {
  view({ status: "done", inTab: true });
  expect(screen.queryByRole("button")).toBeNull();
});

it("says that a run without a name cannot be saved, and what to do", () => {
  view({ status: "done" });
  openForm();
  expect(screen.getByText(/Run it again, then save/)).toBeTruthy();
});

it("sends the run's name, the words and the uploaded pictures, and no text or receipt", async () => {
  const summary = {
    id: "bbbbbbbbbbbbbbbb",
    createdAt: "2026-01-02T03:04:05.000Z",
    title: "My title",
    note: "",
    dictionary: "a/b",
    question: "",
    picture: null,
    clamps: [],
    steered: "",
    baseline: null,
    outcome: "steered",
    arms: 1,
  };
  const fetched = vi.fn(async (_url: string, _init: RequestInit) => Response.json(summary, { status: 201 }));
  vi.stubGlobal("fetch", fetched);
  view({ id: "aaaaaaaaaaaaaaaa", status: "done" }, ["data:image/png;base64,AA=="]);
  openForm();
  expect(screen.getByText(/picture that you uploaded can then be seen/)).toBeTruthy();
  fireEvent.change(screen.getByLabelText("Title"), { target: { value: "My title" } });
  fireEvent.click(screen.getByRole("button", { name: "Save for good" }));
  const link = await screen.findByRole("link", { name: "My title" });
  expect(link.getAttribute("href")).toBe("/x/bbbbbbbbbbbbbbbb");
  expect(JSON.parse(String(fetched.mock.calls[0]?.[1].body))).toEqual({
    run: "aaaaaaaaaaaaaaaa",
    title: "My title",
    note: "",
    pictures: ["data:image/png;base64,AA=="],
  });
});

it("keeps what was typed where the server refuses, and says why", async () => {
  const error = { code: "run_not_found", message: "The server no longer has this run.", fix: "Run it again.", retry: false };
  vi.stubGlobal("fetch", async () => Response.json({ error }, { status: 404 }));
  view({ id: "aaaaaaaaaaaaaaaa", status: "done" });
  openForm();
  fireEvent.change(screen.getByLabelText("Note"), { target: { value: "Not to be lost" } });
  fireEvent.click(screen.getByRole("button", { name: "Save for good" }));
  expect((await screen.findByRole("alert")).textContent).toBe("The server no longer has this run. Run it again.");
  expect((screen.getByLabelText("Note") as HTMLTextAreaElement).value).toBe("Not to be lost");
});

it("offers no saving where the server keeps none, and says so in its place", () => {
  view({ id: "aaaaaaaaaaaaaaaa", status: "done" }, [], true);
  expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Saving is off" }));
  expect(screen.getAllByText(/This server keeps no experiments\. Share has the whole request/).length).toBeGreaterThan(0);
  cleanup();
  view({ id: "aaaaaaaaaaaaaaaa", status: "running" }, [], true);
  expect(screen.queryByText("Saving is off")).toBeNull();
});

it("keeps what was typed when the form is closed and when the page is loaded again, for that run alone", async () => {
  view({ id: "aaaaaaaaaaaaaaaa", status: "done" });
  openForm();
  fireEvent.change(screen.getByLabelText("Title"), { target: { value: "Half a tit" } });
  fireEvent.change(screen.getByLabelText("Note"), { target: { value: "and a note" } });
  fireEvent.keyDown(screen.getByRole("dialog"), { key: "Escape" });
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  const typed = () => [screen.getByLabelText<HTMLInputElement>("Title").value, screen.getByLabelText<HTMLTextAreaElement>("Note").value];
  openForm();
  expect(typed()).toEqual(["Half a tit", "and a note"]);
  cleanup();
  view({ id: "aaaaaaaaaaaaaaaa", status: "done" });
  openForm();
  expect(typed()).toEqual(["Half a tit", "and a note"]);
  cleanup();
  view({ id: "bbbbbbbbbbbbbbbb", status: "done" });
  openForm();
  expect(typed()).toEqual(["", ""]);
});
