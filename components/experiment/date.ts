const dateFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

/** "25 Nov 2026, 14:05 UTC": the same on the server and in every browser. */
export const formatDate = (iso: string): string => `${dateFormat.format(new Date(iso))} UTC`;
