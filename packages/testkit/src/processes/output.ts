import type { Readable } from "node:stream";

/** The last lines that a process wrote to its standard streams. */
export class Output {
  readonly #max: number;
  readonly #lines: string[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  follow(...streams: (Readable | null)[]): void {
    for (const stream of streams) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#lines.push(...text.trimEnd().split("\n"));
        this.#lines.splice(0, this.#lines.length - this.#max);
      });
    }
  }

  last(count: number): string {
    return this.#lines.slice(-count).join("\n");
  }
}
