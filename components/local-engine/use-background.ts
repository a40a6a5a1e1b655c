"use client";
import { useEffect, useState } from "react";

/** Whether the tab is in the background, how often it came back, and whether it was away while it was at work: nobody reads what only a hidden tab says. */
export function useBackground(works: boolean): { hidden: boolean; shown: number; slowed: boolean } {
  const [now, setNow] = useState({ hidden: false, shown: 0 });
  const [slowed, setSlowed] = useState(false);
  useEffect(() => {
    const look = () => setNow(({ shown }) => ({ hidden: document.hidden, shown: document.hidden ? shown : shown + 1 }));
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  if (slowed !== (works && (slowed || now.hidden))) setSlowed(!slowed);
  return { ...now, slowed };
}
