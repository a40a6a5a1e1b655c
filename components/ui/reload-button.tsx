"use client";
import { Button } from "./button";

/** Asks the server for the page again. */
export function ReloadButton() {
  return <Button onClick={() => window.location.reload()}>Try again</Button>;
}
