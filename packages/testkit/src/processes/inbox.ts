import { setTimeout as pause } from "node:timers/promises";

/** What a process sends over its IPC channel (see parent.ts). */
export interface Message {
  kind: string;
}

/** Messages of a child that have not been taken yet. */
export class Inbox {
  readonly #messages: Message[] = [];
  #wake: () => void = () => undefined;

  add(message: Message): void {
    this.#messages.push(message);
    this.#wake();
  }

  /** Interrupts `change`, for an event other than a message. */
  wake(): void {
    this.#wake();
  }

  /** Removes the first message of this kind. */
  take(kind: string): Message | undefined {
    const index = this.#messages.findIndex((message) => message.kind === kind);
    return index === -1 ? undefined : this.#messages.splice(index, 1)[0];
  }

  /** Waits up to `maxMs` for a message or a wake-up. */
  async change(maxMs: number): Promise<void> {
    const changed = new AbortController();
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    await Promise.race([woken, pause(maxMs, undefined, { signal: changed.signal }).catch(() => undefined)]);
    changed.abort();
  }
}
