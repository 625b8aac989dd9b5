import { drawFor } from "../draw.ts";
import { type Answer, anyStatus, type AnswerMutation, fatesOf, plain } from "./answer.ts";
import { bodyMutations } from "./body-mutations.ts";
import { headMutations } from "./head-mutations.ts";

const unchanged: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  return {
    label: "plain",
    pieces: [{ bytes: plain(status), afterMs: 0 }],
    ending: "keep",
    fates: fatesOf(status),
    status,
  };
};

const MUTATIONS = [[4, unchanged] as const, ...headMutations, ...bodyMutations];

/** Answer `number` of a seed. */
export function generateAnswer(seed: number, number: number): Answer {
  const draw = drawFor(seed, "answer", number);
  return { number, ...draw.weighted(MUTATIONS)(draw) };
}
