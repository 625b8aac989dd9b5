import { askServer, SILENCE, type Answer, type OnResponse, type Query, type Question } from "./ask-server.ts";
import type { DnsServers } from "./servers.ts";

/** A server that has not answered for this long is not waited for alone. */
const NEXT_SERVER_MS = 1_000;

/**
 * Asks the DNS servers for the addresses of a name, until one knows whether it has any. The next server is asked when
 * the one before fails, or does not answer for a second. c-ares asks no further server after an error such as SERVFAIL.
 */
export function askServers(servers: DnsServers, query: Query, deadlineMs: number, onResponse: OnResponse): Question {
  const { promise: answer, resolve } = Promise.withResolvers<Answer>();
  const waiting = servers.inOrder();
  const asked: Question[] = [];
  let open = 0;
  let failure = SILENCE;
  let isOver = false;
  let next: NodeJS.Timeout | undefined;

  function end(result: Answer): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(next);
    clearTimeout(deadline);
    for (const question of asked) question.cancel();
    resolve(result);
  }
  const deadline = setTimeout(() => end(failure), deadlineMs);

  function onAnswer(server: string, result: Answer): void {
    if (isOver) return;
    open -= 1;
    if (result.kind !== "failed") {
      servers.prefer(server);
      end(result);
      return;
    }
    if (failure.isSilent) failure = result;
    if (waiting.length > 0) askNext();
    else if (open === 0) end(failure);
  }

  function askNext(): void {
    clearTimeout(next);
    const server = waiting.shift();
    if (server === undefined) return;
    const question = askServer(server, query, (isReal) => isOver || onResponse(isReal));
    asked.push(question);
    open += 1;
    void question.answer.then((result) => onAnswer(server, result));
    if (waiting.length > 0) next = setTimeout(askNext, NEXT_SERVER_MS);
  }

  askNext();
  if (open === 0) end(failure);
  return { answer, cancel: () => end(SILENCE) };
}
