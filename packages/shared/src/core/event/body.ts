/** The last member's name. Neither a type nor a timestamp has quotes, so its first occurrence is the member itself. */
const DATA_MEMBER = ',"data":';

/**
 * The body of every request that delivers an event: `{"type","timestamp","data"}`. It is built from parts, because the
 * data is sent on byte for byte as it came, and an event type needs no escaping.
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
