/** Unix milliseconds with fractions. All processes of a machine share this clock, so their times can be subtracted. */
export const wallClock = (): number => performance.timeOrigin + performance.now();
