// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { EnginePackage } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import type { Dictionary } from "@/lib/core/records";
import { ExamplesBeside } from "./examples-beside";
import { OwnImageView } from "./own-image-view";
import { PictureDrop } from "./picture-drop";

vi.mock("next/navigation", () => ({ useSearchParams: () => new URLSearchParams(), useRouter: () => ({}) }));
/** A load never ends by itself. */
vi.mock("@/lib/engine/web/tab-engine", () => ({
  TabEngine: class {
    state = null;
    holds = () => false;
    end() {}
    load(_pack: EnginePackage, { signal }: { signal: AbortSignal }) {
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new FacetError("cancelled", "The download was stopped.")));
      });
    }
  },
}));

const file = { path: "x", bytes: 1, sha256: "0".repeat(64) };
const dictionary = {
  ref: "m/one",
  sha256: "1".repeat(64),
  model: { id: "m", name: "M" },
  id: "one",
  numLatents: 9,
} as unknown as Dictionary;
const pack = {
  dictionary: "m/one",
  sha256: "1".repeat(64),
  manifest: "{}",
  files: [file],
  tensors: {},
  runtime: { wasm: { module: file, wasm: file }, webgpu: { module: file, wasm: file } },
};

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function serve(answers: (path: string) => Response | undefined) {
  vi.stubGlobal("fetch", async (address: string | URL) => {
    const { pathname } = new URL(address, "http://localhost");
    const missing = { error: { code: "internal", message: "Broken.", fix: "Wait.", retry: false } };
    return answers(pathname) ?? Response.json(missing, { status: 500 });
  });
}
const show = (children: React.ReactNode) =>
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TooltipProvider>{children}</TooltipProvider>
    </QueryClientProvider>,
  );

it("says that the model's load was stopped, in place of looking for ever", async () => {
  serve((path) => {
    if (path === "/api/engine") return Response.json(pack);
    if (path === "/api/engine/names") return Response.json({ dictionary: "m/one", sha256: "1".repeat(64), items: [] });
  });
  const { container } = show(<OwnImageView dictionary={dictionary} />);
  await screen.findByRole("button", { name: "Load the model" });
  // This page's files cannot be read.
  const bytes = new Uint8Array([1, 2, 3]);
  const picture = Object.assign(new File([bytes], "own.png", { type: "image/png" }), { arrayBuffer: async () => bytes.buffer });
  fireEvent.change(container.querySelector("input[type=file]") as Element, { target: { files: [picture] } });
  fireEvent.click(await screen.findByRole("button", { name: "Stop" }));
  await screen.findByText("The download was stopped.");
  expect(screen.queryByText("Looking at the picture…")).toBeNull();
  // A load that a person begins again is waited for.
  fireEvent.click(screen.getByRole("button", { name: "Load the model" }));
  await screen.findByRole("button", { name: "Stop" });
});

it("does not say of examples that did not arrive that there are none", async () => {
  serve(() => undefined);
  show(<ExamplesBeside dictionary="m/one" index={3} />);
  await screen.findByText(/examples did not arrive/);
  expect(screen.queryByText(/has no pictures/)).toBeNull();
  expect(screen.getByRole("link", { name: "Open feature #3" })).toBeTruthy();
});

it("says in a sentence that a picture's body broke off", async () => {
  const body = new ReadableStream({ start: (controller) => controller.error(new TypeError("network")) });
  serve(() => new Response(body, { status: 200 }));
  show(<PictureDrop picture={null} onPicture={() => {}} />);
  fireEvent.change(screen.getByRole("textbox"), { target: { value: "/api/images/x" } });
  fireEvent.click(screen.getByRole("button", { name: "Look" }));
  await waitFor(() => expect(screen.getByRole("alert").textContent).toBe("The picture did not arrive whole. Try again."));
});
