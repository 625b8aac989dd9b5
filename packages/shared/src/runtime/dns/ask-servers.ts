import { askServer, type Answer, type Failure, type OnResponse, type Query, type Question } from "./ask-server.ts";
import type { DnsServers } from "./servers.ts";

/** A server that has not answered for this long is not waited for alone. */
const NEXT_SERVER_MS = 1_000;

const NO_ANSWER: Failure = { kind: "failed", code: "ETIMEOUT", isSilent: true };

/**
 * Asks the DNS servers for the addresses of a name, until one knows whether it has any. The next server is asked when
 * the one before fails, or does not answer for a second. c-ares asks no further server after an error such as SERVFAIL.
 */
export function askServers(servers: DnsServers, query: Query, deadlineMs: number, onResponse: OnResponse): Question {
  const waiting = servers.inOrder();
  const asked: Question[] = [];
  let next: NodeJS.Timeout | undefined;
  let cancel = () => undefined as void;

  const answer = new Promise<Answer>((resolve) => {
    let open = 0;
    let failure = NO_ANSWER;
    let isOver = false;

    function end(answer: Answer): void {
      if (isOver) return;
      isOver = true;
      clearTimeout(next);
      clearTimeout(deadline);
      for (const question of asked) question.cancel();
      resolve(answer);
    }
    const deadline = setTimeout(() => end(failure), deadlineMs);
    cancel = () => end(NO_ANSWER);

    function onAnswer(server: string, answer: Answer): void {
      if (isOver) return;
      open -= 1;
      if (answer.kind !== "failed") {
        servers.prefer(server);
        end(answer);
        return;
      }
      if (failure.isSilent) failure = answer;
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
      void question.answer.then((answer) => onAnswer(server, answer));
      if (waiting.length > 0) next = setTimeout(askNext, NEXT_SERVER_MS);
    }

    askNext();
    if (open === 0) end(failure);
  });
  return { answer, cancel: () => cancel() };
}
