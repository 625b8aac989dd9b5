/** The seconds that the tests of `npm run test:long` fill, roughly. */
const SECONDS = Number(process.env["POSTRIDER_LONG_SECONDS"] ?? 900);
if (!(SECONDS > 0)) throw new Error("POSTRIDER_LONG_SECONDS must be a positive number");

/** Set by the configuration of the project "long". */
const isLongRun = process.env["POSTRIDER_LONG_RUN"] === "1";

/** Milliseconds of a long run, for a test that may take this share of it. */
export const longRunMs = (share: number): number => share * SECONDS * 1_000;

/** fast-check's parameters for this many runs or, in a long run, for as many as fit into this share of it. */
export function propertyRuns(numRuns: number, share: number) {
  return {
    numRuns: isLongRun ? Number.MAX_SAFE_INTEGER : numRuns,
    interruptAfterTimeLimit: isLongRun ? longRunMs(share) : 60_000,
    markInterruptAsFailure: false,
  };
}
