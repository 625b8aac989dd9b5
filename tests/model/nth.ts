/** The element that a number of any size picks. */
export const nth = <T>(from: readonly T[], pick: number): T | undefined => from[pick % Math.max(1, from.length)];
