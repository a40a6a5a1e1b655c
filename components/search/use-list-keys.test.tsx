// @vitest-environment jsdom
import { cleanup, fireEvent, render } from "@testing-library/react";
import { useRef } from "react";
import { afterEach, expect, it, vi } from "vitest";
import type { FeatureCard } from "@/lib/core/records";
import { useListKeys } from "./use-list-keys";

vi.mock("next/navigation", () => ({ useRouter: () => ({ push: () => {} }) }));
afterEach(cleanup);

const items = [40, 30, 20, 10].map((index) => ({ index })) as FeatureCard[];

function List({ listKey }: { listKey: string }) {
  const container = useRef<HTMLDivElement>(null);
  const dictionary = { ref: "toy/model.layers.1", engine: "none" as const };
  const { setActive } = useListKeys({
    listKey,
    container,
    items,
    geometry: null,
    dictionary,
    onToggleHeat: () => {},
    onNextPicture: () => {},
    onNotice: () => {},
  });
  return (
    <div ref={container}>
      {items.map(({ index }) => (
        <a key={index} href={`#${index}`} data-feature={index} onFocus={() => setActive(index)}>
          {index}
        </a>
      ))}
    </div>
  );
}

const press = (key: string) => fireEvent.keyDown(document.activeElement ?? document.body, { key });
const focused = () => document.activeElement?.getAttribute("data-feature");

it("goes on, in a list that one comes back to, from the card that one was at, and starts any other at its head", () => {
  const { unmount } = render(<List listKey="all" />);
  press("j");
  expect(focused()).toBe("40");
  press("j");
  press("j");
  expect(focused()).toBe("20");
  unmount();

  render(<List listKey="all" />);
  expect(focused(), "the focus is not taken").toBeNull();
  press("j");
  expect(focused()).toBe("20");
  press("k");
  expect(focused()).toBe("30");
  cleanup();

  render(<List listKey="other" />);
  press("j");
  expect(focused()).toBe("40");
});
