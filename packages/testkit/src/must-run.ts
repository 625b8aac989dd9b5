/** Whether a test that cannot run fails: in CI, where a skipped one would not be missed. */
export const mustRun = (): boolean => process.env["POSTRIDER_TESTS_MUST_RUN"] === "1";

/**
 * @param reason why tests cannot run on this machine; undefined or "" if they can
 * @returns whether they are skipped
 * @throws Error with the reason if they must run
 */
export function isSkipped(reason: string | undefined): boolean {
  if (reason && mustRun()) throw new Error(`POSTRIDER_TESTS_MUST_RUN is set, but ${reason}`);
  return Boolean(reason);
}
