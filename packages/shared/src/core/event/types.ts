const MAX_TYPE_CHARS = 128;
const WORDS = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Whether a text is an event type: dot-separated words of `A-Z a-z 0-9 _ -`, at most 128 characters. */
export const isEventType = (text: string): boolean => text.length <= MAX_TYPE_CHARS && WORDS.test(text);

/** Whether a text is a pattern of event types: an exact name, `order.*` (everything below `order`), or `*`. */
export const isEventTypePattern = (text: string): boolean =>
  text === "*" || isEventType(text.endsWith(".*") ? text.slice(0, -2) : text);

/** Whether a pattern matches a type, i.e. whether `patternsMatching(type)` contains the pattern. */
export const matchesPattern = (pattern: string, type: string): boolean =>
  pattern === "*" || pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1)));

/** Every pattern that matches a type: `*`, the type itself, and `prefix.*` for each of its prefixes. */
export function patternsMatching(type: string): string[] {
  const patterns = ["*", type];
  for (let dot = type.indexOf("."); dot !== -1; dot = type.indexOf(".", dot + 1))
    patterns.push(`${type.slice(0, dot)}.*`);
  return patterns;
}
