/** Pictures that a model has looked at, ranked by a painted region while they come in: by the score that stored examples are ranked by. */
import type { PictureCodes } from "./picture-codes";
import type { Region } from "./region";
import { byScore, covers, type RankedPicture, type RegionExample, type Sought, scorePicture } from "./region-search";

export interface CodesQuestion {
  region: Region;
  /** Indices of the features. */
  features: readonly number[];
  /** Each feature's maximum over the catalogue, in raw activation. */
  maxima: ReadonlyMap<number, number>;
  /** A picture to leave out, by its SHA-256. */
  without?: string;
}

export interface RankedCodes extends RankedPicture<RegionExample> {
  sha256: string;
}

export class RegionRanking {
  /** Pictures on which at least one of the features fires in the region. */
  total = 0;
  /** The best, the best first: another array where they change. */
  top: readonly RankedCodes[] = [];
  private readonly sought: Sought;

  /** `most`: how many are shown. */
  constructor(
    private readonly question: CodesQuestion,
    private readonly most: number,
  ) {
    this.sought = { count: question.features.length, maxima: question.maxima, coverOn: covers(question.region) };
  }

  /** Each picture once. `image`: its number in the order of import. */
  add(sha256: string, image: number, codes: PictureCodes): void {
    if (sha256 === this.question.without) return;
    const { rows, cols } = codes;
    const examples = this.question.features.flatMap((index): RegionExample[] => {
      const found = codes.mapOf(index);
      return found ? [{ index, image, rows, cols, ...found }] : [];
    });
    const scored = scorePicture(image, examples, this.sought);
    if (!scored) return;
    this.total++;
    const last = this.top[this.most - 1];
    if (last && byScore(last, scored) <= 0) return;
    this.top = [...this.top, { ...scored, sha256 }].sort(byScore).slice(0, this.most);
  }
}
