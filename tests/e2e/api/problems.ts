import { expect } from "vitest";
import type { Answer, CallOptions, Client } from "@postrider/testkit/client/client.ts";
import type { Problem } from "@postrider/testkit/client/types.ts";

/** A well-formed id that no object has. */
export const ABSENT = "00000000000000000000000000";

export function expectProblem(answer: Answer<Problem>, ...statuses: number[]): void {
  expect(answer.status, JSON.stringify(answer.body)).toBeOneOf(statuses);
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json\b/);
  expect(answer.body).toMatchObject({
    status: answer.status,
    code: expect.stringMatching(/^[a-z][a-z_]+$/) as string,
    title: expect.any(String) as string,
  });
}

/** Calls that the API should refuse. */
export function callsTo(used: { api: Client }) {
  const call = (method: string, path: string, options?: CallOptions) => used.api.call<Problem>(method, path, options);

  async function expectFieldNamed(method: string, path: string, body: unknown, field: string): Promise<void> {
    const answer = await call(method, path, { body });
    expectProblem(answer, 400);
    const errors = answer.body.errors ?? [];
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors)
      expect(error).toEqual({ field: expect.any(String), message: expect.stringMatching(/./) });
    expect(errors.map((error) => `${error.field} ${error.message}`).join("\n")).toContain(field);
  }
  return { call, expectFieldNamed };
}
