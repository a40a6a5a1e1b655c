/** Part of `npm run lint`: import directions between folders, file sizes and names, addresses written by hand. */
import { arrowProblems } from "./checks/arrows.mjs";
import { textProblems } from "./checks/texts.mjs";

const texts = textProblems();
const arrows = await arrowProblems();
const problems = [...arrows.problems, ...texts.problems];
for (const problem of problems) console.error(problem);
console.log(`${problems.length} problems in ${texts.files} files, ${arrows.modules} modules followed.`);
process.exitCode = problems.length > 0 ? 1 : 0;
