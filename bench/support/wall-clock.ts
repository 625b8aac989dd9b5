/** Unix milliseconds with fractions. Processes of one machine agree on it, so that a time of one can be taken from a time of another. */
export const wallClock = (): number => performance.timeOrigin + performance.now();
