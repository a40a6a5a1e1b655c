"use client";
import { Segmented } from "@/components/ui/segmented";
import { isStatic } from "@/lib/core/routes";
import { TabPanel } from "./tab-panel";
import type { WhereChoice as Choice, Where } from "./use-where";

/** Where a request runs, and what running it in this tab takes. */
export function WhereChoice({ choice }: { choice: Choice }) {
  const { where, pack, both, choose } = choice;
  return (
    <div className="flex flex-col gap-2">
      {both && (
        <div className="flex flex-wrap items-center gap-2 text-sm">
          <span className="text-muted">Runs</span>
          <Segmented<Where>
            label="Where requests run"
            value={where}
            onChange={choose}
            options={[
              { value: "server", name: "on the server" },
              { value: "tab", name: "in this tab" },
            ]}
          />
        </div>
      )}
      {where === "tab" && pack && (
        <TabPanel pack={pack}>
          {both
            ? "Requests run in this tab."
            : `${isStatic ? "This copy has no server" : "The server runs no model"}, so requests run in this tab.`}{" "}
          Neither their pictures of one’s own nor their answers are sent. The request stands behind the # of this page’s address, which
          stays in the browser. It can be shared as a link, not saved.
        </TabPanel>
      )}
    </div>
  );
}
