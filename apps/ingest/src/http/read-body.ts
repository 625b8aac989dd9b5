import type { IncomingMessage } from "node:http";
import type { Transform } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import type { Reservation } from "./body-memory.ts";

export type BodyFailure = "too_large" | "too_much" | "timeout" | "unknown_encoding" | "undecodable" | "cut_off";

export type BodyResult = { kind: "body"; body: Buffer } | { kind: BodyFailure };

export interface BodyLimits {
  /** Of the body as it was sent, and decoded. */
  limit: number;
  /** Content-Length; 0 where it is not known. */
  length: number;
  timeoutMs: number;
  reservation: Reservation;
}

/** A larger window than any body needs is refused. Of any window, as much is used as has been decoded. */
const DECODERS = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
  ["zstd", () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 24 } })],
]);
/** The state of a decoder, without its window. */
const DECODER_BYTES = 512 * 1024;

/**
 * Reads and decodes a body, and stops at the first byte that exceeds a limit. Then the rest stays unread.
 *
 * It collects the chunks itself, because express.raw costs half as much as the rest of the request, and reads a body that
 * is too large to its end.
 *
 * @param done called once
 */
export function readBody(request: IncomingMessage, limits: BodyLimits, done: (result: BodyResult) => void): void {
  const { limit, length, timeoutMs, reservation } = limits;
  const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "identity";
  const createDecoder = DECODERS.get(encoding);
  if (createDecoder === undefined && encoding !== "identity") return done({ kind: "unknown_encoding" });
  if (createDecoder && !reservation.resize(DECODER_BYTES)) return done({ kind: "too_much" });
  const decoder = createDecoder?.();
  const bytes = new Bytes(decoder ? 0 : length, limit);
  let received = 0;

  const onSent = (chunk: Buffer) => {
    received += chunk.length;
    if (received > limit) fail("too_large");
  };
  const onBytes = (chunk: Buffer) => {
    const total = bytes.length + chunk.length;
    if (total > limit) return fail("too_large");
    const ofDecoder = decoder ? DECODER_BYTES + total : 0;
    if (!reservation.resize(bytes.neededFor(total) + ofDecoder)) return fail("too_much");
    bytes.append(chunk);
  };
  const onEnd = () => {
    // Node ends a cut zstd stream without an error, and an empty body could be a valid one. A stream that ends before
    // the body does has garbage behind it, of any length.
    if (decoder && (bytes.length === 0 || !request.complete)) fail("undecodable");
    else {
      reservation.resize(bytes.held);
      finish({ kind: "body", body: bytes.take() });
    }
  };
  const onCut = () => fail("cut_off");
  const timer = setTimeout(() => fail("timeout"), timeoutMs);
  const source = decoder ?? request;

  function finish(result: BodyResult): void {
    clearTimeout(timer);
    source.off("data", onBytes).off("end", onEnd);
    // From here on a closed connection no longer affects the body.
    request.off("data", onSent).off("error", onCut);
    done(result);
  }
  function fail(kind: BodyFailure): void {
    request.pause();
    if (decoder) {
      request.unpipe(decoder);
      decoder.off("error", onUndecodable).on("error", () => undefined);
      decoder.destroy();
    }
    finish({ kind });
  }
  const onUndecodable = () => fail("undecodable");

  request.on("error", onCut);
  source.on("data", onBytes).on("end", onEnd);
  if (decoder) {
    request.on("data", onSent);
    request.pipe(decoder.on("error", onUndecodable));
  }
}

/** Collects chunks. They are copied, because a body in chunks of one byte would take a hundred times its size. */
class Bytes {
  #buffer: Buffer | undefined;
  #length = 0;
  /** 0 where it is not known. */
  readonly #expected: number;
  readonly #max: number;

  constructor(expected: number, max: number) {
    this.#expected = expected;
    this.#max = max;
  }

  get length(): number {
    return this.#length;
  }

  /** The memory that it takes. Of a buffer for an announced length, the operating system gives what is written. */
  get held(): number {
    return this.#expected > 0 ? this.#length : (this.#buffer?.length ?? 0);
  }

  /** The memory that it takes while it grows to so many bytes. */
  neededFor(total: number): number {
    if (this.#expected > 0 || this.#buffer === undefined) return total;
    return total > this.#buffer.length ? this.#buffer.length + this.#capacityFor(total) : this.#buffer.length;
  }

  append(chunk: Buffer): void {
    const total = this.#length + chunk.length;
    if (this.#buffer === undefined) {
      // Nearly all bodies come in one chunk, which need not be copied.
      this.#buffer = chunk;
    } else {
      if (total > this.#buffer.length) this.#buffer = this.#enlarged(this.#buffer, total);
      chunk.copy(this.#buffer, this.#length);
    }
    this.#length = total;
  }

  #enlarged(buffer: Buffer, total: number): Buffer {
    const enlarged = Buffer.allocUnsafeSlow(this.#expected > 0 ? this.#expected : this.#capacityFor(total));
    buffer.copy(enlarged, 0, 0, this.#length);
    return enlarged;
  }

  /** At least twice as large as the buffer before, so that each byte is copied once on average. */
  #capacityFor(total: number): number {
    let capacity = this.#max;
    while (capacity / 2 >= total) capacity = Math.ceil(capacity / 2);
    return capacity;
  }

  take(): Buffer {
    return this.#buffer?.subarray(0, this.#length) ?? Buffer.alloc(0);
  }
}
