/**
 * For every test of a component: how long it waits for what is to appear. One second, the library's own, is too short where suites share a slow
 * machine, and a longer wait costs a test that passes nothing.
 */
export const patienceMs = 30_000;

if (typeof document !== "undefined") {
  const { configure } = await import("@testing-library/react");
  configure({ asyncUtilTimeout: patienceMs });
}
