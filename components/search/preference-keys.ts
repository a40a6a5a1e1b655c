/** How this browser likes its lists. In a cookie, so that the server already renders it so and nothing jumps. */
export const preferences = {
  density: ["comfortable", "compact"],
  filters: ["open", "closed"],
  heat: ["on", "off"],
} as const;
export type PreferenceKey = keyof typeof preferences;
export type Preference<K extends PreferenceKey> = (typeof preferences)[K][number];
export type Preferences = { [K in PreferenceKey]: Preference<K> };

/** The preferences in a request's cookies. */
export function readPreferences(cookie: (name: string) => string | undefined): Preferences {
  const chosen = Object.entries(preferences).map(([key, options]) => {
    const value = cookie(`facet-${key}`);
    return [key, (options as readonly string[]).includes(value ?? "") ? value : options[0]];
  });
  return Object.fromEntries(chosen) as Preferences;
}
