// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import { TurnPicture } from "./turn-picture";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it("prints the caption of a picture without spaces before its signs, and tells it to who does not see it", async () => {
  const info = { sha256: "c".repeat(64), width: 384, height: 384, mime: "image/webp", source: null, caption: "a hat , a bell and a moon" };
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json(info)));
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TooltipProvider>
        <TurnPicture
          image={{ sha256: info.sha256, upload: false }}
          number={null}
          small={false}
          chosen={false}
          onChoose={null}
          dictionary="toy/model.layers.1"
          upload={null}
          onRemove={() => {}}
        />
      </TooltipProvider>
    </QueryClientProvider>,
  );
  expect(await screen.findByText("a hat, a bell and a moon")).toBeTruthy();
  expect(screen.getByRole("img", { name: "a hat, a bell and a moon" })).toBeTruthy();
});
