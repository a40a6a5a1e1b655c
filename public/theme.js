// Runs before the first paint, so that no page flashes in the other theme. A file and not inline: the content security policy forbids inline scripts.
(() => {
  let stored = null;
  try {
    stored = localStorage.getItem("facet-theme");
  } catch {
    // Storage is denied: follow the system.
  }
  const dark = stored === "dark" || (stored !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
