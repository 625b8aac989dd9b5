/** A type and a timestamp contain no quotes, so the first occurrence is the member itself. */
const DATA_MEMBER = ',"data":';

/**
 * The body of every request that delivers an event: `{"type","timestamp","data"}`. It is concatenated, because the data
 * is sent byte for byte as it was received, and an event type needs no escaping.
 *
 * @param type a valid event type
 * @param timestamp ISO 8601
 * @param data JSON in UTF-8
 */
export const eventBody = (type: string, timestamp: string, data: Buffer): readonly (string | Buffer)[] => [
  `{"type":"${type}","timestamp":"${timestamp}"${DATA_MEMBER}`,
  data,
  "}",
];

/** @returns the JSON text of an event body's `data`, unchanged */
export const dataOf = (body: string): string => body.slice(body.indexOf(DATA_MEMBER) + DATA_MEMBER.length, -1);
