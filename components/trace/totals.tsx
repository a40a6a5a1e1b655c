import { cn } from "@/components/ui/cn";
import { Term } from "@/components/ui/term";
import { formatContribution } from "./format";
import type { TotalLine } from "./total-lines";

/** The parts and their sum, so that one sees that nothing is missing. */
export function Totals({ lines, sum, decimals, note }: { lines: readonly TotalLine[]; sum: TotalLine; decimals: number; note?: string }) {
  return (
    <div>
      <table className="num w-full text-sm">
        <caption className="sr-only">The parts of the whole</caption>
        <tbody>
          {lines.map((line) => (
            <Line key={line.name} {...line} decimals={decimals} />
          ))}
        </tbody>
        <tfoot className="border-ink border-t font-medium">
          <Line {...sum} decimals={decimals} strong />
        </tfoot>
      </table>
      {note && <p className="mt-1 text-muted text-xs">{note}</p>}
    </div>
  );
}

function Line({ name, explain, value, decimals, strong = false }: TotalLine & { decimals: number; strong?: boolean }) {
  return (
    <tr>
      <th scope="row" className={cn("py-0.5 pr-2 text-left", strong ? "font-medium" : "font-normal")}>
        <Term explain={explain}>{name}</Term>
      </th>
      <td className={cn("py-0.5 text-right", value < 0 ? "text-negative" : "text-positive")}>{formatContribution(value, decimals)}</td>
    </tr>
  );
}
