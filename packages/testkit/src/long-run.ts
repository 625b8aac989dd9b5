/** The seconds that the tests of `npm run test:long` fill, roughly. */
const SECONDS = Number(process.env["POSTRIDER_LONG_SECONDS"] ?? 900);
if (!(SECONDS > 0)) throw new Error("POSTRIDER_LONG_SECONDS must be a positive number");

/** Set by the configuration of the project "long". */
export const isLongRun = process.env["POSTRIDER_LONG_RUN"] === "1";

/** Whether there is time for everything, and not only for a sample. */
export const isFullLongRun = isLongRun && SECONDS >= 600;

/** Runs `work` once or, in a long run, again and again for this share of it. @param work gets its number, from 1 */
export async function repeatInLongRun(share: number, work: (number: number) => Promise<void>): Promise<void> {
  const deadline = performance.now() + (isLongRun ? share * SECONDS * 1_000 : 0);
  let number = 0;
  do {
    number += 1;
    await work(number);
  } while (performance.now() < deadline);
}
