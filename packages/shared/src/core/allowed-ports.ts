/** Ports of other protocols, which would take a request for their own (https://fetch.spec.whatwg.org/#bad-port). */
const BAD_PORTS = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
  540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
  6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

const MAX_PORT = 65_535;

/** The ports that deliveries may use. A bad port is one of them only where it is named by itself. */
export class AllowedPorts {
  readonly #ranges: readonly (readonly [from: number, to: number])[];

  constructor(ranges: readonly (readonly [from: number, to: number])[]) {
    this.#ranges = ranges;
  }

  has(port: number): boolean {
    const isBad = BAD_PORTS.has(port);
    return this.#ranges.some(([from, to]) => (isBad ? port === from && port === to : port >= from && port <= to));
  }
}

/**
 * Parses a list of ports and ranges of ports, such as `80,443,1024-65535`.
 *
 * @returns the ports, or a sentence that names the invalid entry
 */
export function parsePorts(text: string): AllowedPorts | { problem: string } {
  const ranges: [number, number][] = [];
  for (const entry of text.split(",").map((part) => part.trim())) {
    const [, first, last = first] = /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(entry) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from >= 1 && from <= to && to <= MAX_PORT)) {
      return { problem: `"${entry}" is not a port (write 443, or a range such as 1024-65535)` };
    }
    ranges.push([from, to]);
  }
  return new AllowedPorts(ranges);
}

/** The port of a URL. */
export const portOf = ({ protocol, port }: { protocol: string; port: string }): number =>
  port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
