"use client";
import { useCallback, useEffect, useState } from "react";
import { findUpload, keepUpload, type Upload } from "./upload-store";

/**
 * The uploaded pictures that a request names, read from this browser's store. `undefined` while looking, null when it is not here;
 * `add` keeps a new one.
 */
export function useUploads(hashes: readonly string[]) {
  const [found, setFound] = useState<Record<string, Upload | null>>({});
  const wanted = hashes.join();

  // The browser's store is outside React.
  useEffect(() => {
    let current = true;
    for (const sha256 of wanted ? wanted.split(",") : []) {
      void findUpload(sha256).then((upload) => {
        if (current) setFound((known) => (known[sha256] ? known : { ...known, [sha256]: upload }));
      });
    }
    return () => {
      current = false;
    };
  }, [wanted]);

  const add = useCallback(async (upload: Upload): Promise<boolean> => {
    setFound((known) => ({ ...known, [upload.sha256]: upload }));
    return keepUpload(upload);
  }, []);

  return { found, add };
}
