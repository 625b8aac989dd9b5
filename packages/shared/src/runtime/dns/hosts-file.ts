import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";

/** How often the file is looked at for a change. */
const CHECK_MS = 1_000;

/** The names of `/etc/hosts`, which c-ares does not read for its queries. */
export class HostsFile {
  readonly #path: string;
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();
  #version = "";
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(path = "/etc/hosts") {
    this.#path = path;
  }

  /** @param name in lower case, without a dot at its end */
  find(name: string): readonly string[] | undefined {
    const now = performance.now();
    if (now - this.#checkedAt >= CHECK_MS) {
      this.#checkedAt = now;
      this.#refresh();
    }
    return this.#addresses.get(name);
  }

  #refresh(): void {
    try {
      const { ino, size, mtimeMs, ctimeMs } = statSync(this.#path);
      const version = [ino, size, mtimeMs, ctimeMs].join();
      if (version === this.#version) return;
      this.#addresses = parseHosts(readFileSync(this.#path, "utf8"));
      this.#version = version;
    } catch {
      // There is no such file, or it is being replaced.
      this.#addresses = new Map();
      this.#version = "";
    }
  }
}

function parseHosts(text: string): Map<string, string[]> {
  const addresses = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, "");
      const known = addresses.get(key);
      if (known === undefined) addresses.set(key, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return addresses;
}
