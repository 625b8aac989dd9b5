const TIME = /^(\d{4}-\d{2}-(\d{2}))(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * Parses an ISO 8601 time: a day, or a day and a time with or without an offset. Without one it is UTC.
 *
 * @returns Unix milliseconds; undefined for another format, or a time that does not exist, such as February 30
 */
export function parseTime(text: string): number | undefined {
  const [, date, day, offset] = TIME.exec(text) ?? [];
  if (date === undefined) return undefined;
  // Date.parse takes February 30 for March 2.
  const midnight = new Date(`${date}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || midnight.getUTCDate() !== Number(day)) return undefined;
  const ms = Date.parse(offset === undefined && text !== date ? `${text}Z` : text);
  return Number.isNaN(ms) ? undefined : ms;
}
