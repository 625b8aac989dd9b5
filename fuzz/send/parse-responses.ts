/** An HTTP response as it arrived. */
export interface Received {
  status: number;
  /** Lower-case names; several of one name are joined by commas. */
  headers: ReadonlyMap<string, string>;
  body: Buffer;
}

export interface Parsed {
  /** Complete ones, without interim ones. */
  responses: Received[];
  /** The bytes after the last complete response. */
  rest: Buffer;
  /** Why the rest can't be the beginning of a response. */
  problem: string | undefined;
}

/**
 * Parses what a server sent on a connection, strictly.
 *
 * @param methods of the requests in their order; GET where there are more responses
 * @param isClosed whether the server has closed the connection, which ends a body without a length
 */
export function parseResponses(bytes: Buffer, methods: readonly string[], isClosed: boolean): Parsed {
  const responses: Received[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const parsed = parseOne(rest, methods[responses.length] ?? "GET", isClosed);
    if (parsed === undefined) break;
    if (typeof parsed === "string") return { responses, rest, problem: parsed };
    if (parsed.response.status >= 200 || parsed.response.status === 101) responses.push(parsed.response);
    rest = rest.subarray(parsed.end);
  }
  return { responses, rest, problem: undefined };
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d) [\t\x20-\x7e]*$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/** @returns undefined where more has to arrive, a text where it is no response */
function parseOne(
  bytes: Buffer,
  method: string,
  isClosed: boolean,
): { response: Received; end: number } | string | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return "HTTP/1".startsWith(bytes.toString("latin1", 0, 6)) ? undefined : "it is not HTTP";
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const status = Number(STATUS_LINE.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) return `its status line is ${JSON.stringify(statusLine.slice(0, 100))}`;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = HEADER.exec(line) ?? [];
    if (name === undefined || value === undefined) return `a header is ${JSON.stringify(line.slice(0, 100))}`;
    const key = name.toLowerCase();
    headers.set(key, headers.has(key) ? `${headers.get(key)}, ${value}` : value);
  }
  const start = headEnd + 4;
  const done = (body: Buffer, end: number) => ({ response: { status, headers, body }, end });
  const hasNoBody = method === "HEAD" && !isRefusedUnparsed(status, headers);
  if (hasNoBody || status < 200 || status === 204 || status === 304) return done(Buffer.alloc(0), start);
  if (headers.get("transfer-encoding") === "chunked") {
    const body = parseChunks(bytes, start);
    return typeof body === "string" || body === undefined ? body : done(body.body, body.end);
  }
  const length = headers.get("content-length");
  if (length === undefined) return isClosed ? done(bytes.subarray(start), bytes.length) : undefined;
  if (!/^\d+$/.test(length)) return `its content-length is ${JSON.stringify(length)}`;
  const end = start + Number(length);
  return bytes.length < end ? undefined : done(bytes.subarray(start, end), end);
}

/** A server that could not parse a head knows no method, so its answer has a body and ends the connection. */
const isRefusedUnparsed = (status: number, headers: ReadonlyMap<string, string>): boolean =>
  [400, 431].includes(status) && headers.get("connection") === "close" && headers.has("content-length");

function parseChunks(bytes: Buffer, start: number): { body: Buffer; end: number } | string | undefined {
  const chunks: Buffer[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const size = bytes.toString("latin1", at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(size)) return `a chunk's size is ${JSON.stringify(size.slice(0, 50))}`;
    const dataStart = lineEnd + 2;
    const dataEnd = dataStart + Number.parseInt(size, 16);
    if (bytes.length < dataEnd + 2) return undefined;
    if (dataEnd === dataStart) return { body: Buffer.concat(chunks), end: dataEnd + 2 };
    chunks.push(bytes.subarray(dataStart, dataEnd));
    at = dataEnd + 2;
  }
}
