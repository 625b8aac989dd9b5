import { connect, isIPv6, type Socket } from "node:net";

/** RFC 8305, section 5: the next address is dialled after this time, while those before it are still tried. */
const NEXT_ADDRESS_AFTER_MS = 250;
/** A name may have hundreds of addresses. One delivery does not dial them all. */
const MAX_ADDRESSES = 8;

/**
 * Connects to the first of several addresses that accepts (Happy Eyeballs, RFC 8305). Node's own algorithm
 * (`autoSelectFamily`) closes each attempt but the last when it begins the next one, so a receiver whose handshake takes
 * longer than its interval is never reached if its name also has an unreachable address.
 *
 * @param callback called once, with a socket or with the error of the address that failed first
 * @returns stops dialling; the callback is not called afterwards
 */
export function dialFirst(
  addresses: readonly string[],
  port: number,
  callback: (error: Error | null, socket: Socket | null) => void,
): () => void {
  const waiting = alternateFamilies(addresses).slice(0, MAX_ADDRESSES);
  const dialling = new Set<Socket>();
  let firstError: Error | undefined;
  let next: NodeJS.Timeout | undefined;

  function stop(): void {
    clearTimeout(next);
    waiting.length = 0;
    for (const socket of dialling) socket.destroy();
    dialling.clear();
  }

  function dialNext(): void {
    clearTimeout(next);
    const host = waiting.shift();
    if (host === undefined) return;
    // As undici sets them on its own sockets.
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
    dialling.add(socket);
    socket.once("connect", () => {
      dialling.delete(socket);
      stop();
      callback(null, socket);
    });
    socket.on("error", (error) => {
      // The error of a connected socket is for its owner.
      if (!dialling.delete(socket)) return;
      firstError ??= error;
      if (waiting.length > 0) dialNext();
      else if (dialling.size === 0) callback(firstError, null);
    });
    if (waiting.length > 0) next = setTimeout(dialNext, NEXT_ADDRESS_AFTER_MS);
  }

  dialNext();
  return stop;
}

/** RFC 8305, section 4: one family may be unreachable as a whole, so the other one comes second. */
function alternateFamilies(addresses: readonly string[]): string[] {
  const isFirstFamily = (address: string) => isIPv6(address) === isIPv6(addresses[0] ?? "");
  const first = addresses.filter(isFirstFamily);
  const second = addresses.filter((address) => !isFirstFamily(address));
  return Array.from({ length: Math.max(first.length, second.length) })
    .flatMap((_, index) => [first[index], second[index]])
    .filter((address) => address !== undefined);
}
