import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { IN_LOGS } from "../secrets.ts";
import type { Finding } from "./finding.ts";

const CHUNK_BYTES = 1024 * 1024;
/** A secret may lie across two pieces of a line that is longer than a chunk. */
const OVERLAP_BYTES = 200;
const NEWLINE = 10;
const AROUND = 100;

/** Searches the logs of all processes for secrets, and for what a process should never have to write. */
export class LogWatch {
  readonly #folder: string;
  readonly #readTo = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Looks at the lines that were completed since the last look.
   *
   * @param isLast the processes have ended: a line without an end is complete, too
   */
  look(isLast = false): Finding[] {
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith(".log"))
      .flatMap((name) => this.#read(name, isLast));
  }

  #read(name: string, isLast: boolean): Finding[] {
    const path = join(this.#folder, name);
    const found: Finding[] = [];
    const file = openSync(path, "r");
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let at = this.#readTo.get(name) ?? 0;
    for (;;) {
      const bytes = readSync(file, chunk, 0, CHUNK_BYTES, at);
      const isFull = bytes === CHUNK_BYTES;
      const lineEnd = bytes === 0 ? 0 : chunk.lastIndexOf(NEWLINE, bytes - 1) + 1;
      const isPart = isFull && lineEnd === 0;
      const end = isPart || (isLast && !isFull) ? bytes : lineEnd;
      if (end === 0) break;
      const text = chunk.toString("latin1", 0, end);
      for (const { index, 0: secret } of text.matchAll(IN_LOGS)) {
        const around = text.slice(Math.max(0, index - AROUND), index + secret.length + AROUND);
        found.push({ kind: `a secret in the log of ${name}`, detail: secret, replay: JSON.stringify(around) });
      }
      for (const [line] of text.matchAll(FORBIDDEN)) {
        found.push({ kind: `an error in the log of ${name}`, detail: line.slice(0, 300), replay: path });
      }
      at += isPart ? end - OVERLAP_BYTES : end;
    }
    closeSync(file);
    this.#readTo.set(name, at);
    return found;
  }
}

/** Errors that a process logs, and warnings that Node writes by itself. */
const FORBIDDEN =
  /^\{"level":"(?:error|fatal)".*$|^.*(?:MaxListenersExceededWarning|UnhandledPromise|DeprecationWarning).*$/gm;
