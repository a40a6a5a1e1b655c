import { diagnose } from "@/lib/catalog/doctor";
import { checkWorkers } from "@/lib/workers/check";

/** Prints one line a check; ends with status 1 when something is wrong. */
export async function doctorCommand(): Promise<void> {
  const findings = [...(await diagnose()), ...(await checkWorkers())];
  for (const finding of findings) {
    console.log(`${finding.ok ? "ok   " : "WRONG"} ${finding.what}`);
    if (finding.fix) console.log(`      ${finding.fix}`);
  }
  if (findings.some((finding) => !finding.ok)) process.exitCode = 1;
}
