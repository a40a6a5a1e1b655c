import { expect, it } from "vitest";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import type { FeatureCard } from "@/lib/core/records";
import { isBareList } from "./bare-list";

const query = { ...emptyFeatureQuery, limit: 3 };
const plain = { top: [], text: null } as unknown as FeatureCard;
const pictured = { top: [{}], text: null } as unknown as FeatureCard;
const list = (items: FeatureCard[], total: number | null) => ({ pages: { items, total }, query, illustrated: true });

it("leaves the pictures' place out where no feature of the list has any", () => {
  expect(isBareList({ ...list([plain], 9), illustrated: false })).toBe(true);
  expect(isBareList({ ...list([plain], 9), query: { ...query, flags: { dead: true } } })).toBe(true);
  expect(isBareList(list([plain, plain], 2))).toBe(true);
  expect(isBareList(list([plain, pictured], 2))).toBe(false);
  expect(isBareList(list([], 0))).toBe(false);
});

it("says the same of a long list whatever of it has come, so that no row changes its height", () => {
  const grown = [[plain, plain, plain], [plain, plain, plain, pictured], Array(9).fill(plain)];
  expect(grown.map((items) => isBareList(list(items, 9)))).toEqual([false, false, false]);
  expect(isBareList(list([plain, plain], null))).toBe(false);
});
