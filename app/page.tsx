import { HomeView } from "@/components/home/home-view";
import { ErrorState } from "@/components/ui/error-state";
import { ReloadButton } from "@/components/ui/reload-button";
import { getDatabase } from "@/lib/catalog/db";
import { asFacetError } from "@/lib/core/errors";
import { type Home, readHome } from "@/lib/search/home";
import { MissingPage, missingHere } from "./missing-page";

// The catalogue is there at run time only.
export const dynamic = "force-dynamic";

export default async function HomePage() {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  let home: Home;
  try {
    home = await readHome(await getDatabase());
  } catch (thrown) {
    const error = asFacetError(thrown);
    if (error.code === "internal") throw thrown;
    return <ErrorState page error={error.toJSON()} action={<ReloadButton />} />;
  }
  return <HomeView {...home} />;
}
