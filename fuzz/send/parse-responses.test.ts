import { expect, test } from "vitest";
import { parseResponses } from "./parse-responses.ts";

const parse = (text: string, { methods = ["GET"], isClosed = false } = {}) => {
  const { responses, rest, problem } = parseResponses(Buffer.from(text, "latin1"), methods, isClosed);
  return { found: responses.map(({ status, body }) => [status, body.toString()]), rest: rest.toString(), problem };
};

test("responses are parsed by length, by chunks, until the end, and without a body", () => {
  const length = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
  const chunks = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
  const interim = "HTTP/1.1 100 Continue\r\n\r\n";
  expect(parse(length + interim + chunks)).toEqual({
    found: [
      [200, "ok"],
      [202, "abc"],
    ],
    rest: "",
    problem: undefined,
  });
  expect(parse("HTTP/1.1 200 OK\r\n\r\nall", { isClosed: true }).found).toEqual([[200, "all"]]);
  expect(parse("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", { methods: ["HEAD"] }).found).toEqual([[200, ""]]);
  const refused = "HTTP/1.1 431 X\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
  expect(parse(refused, { methods: ["HEAD"] }).found).toEqual([[431, "no"]]);
  expect(parse("HTTP/1.1 204 No Content\r\n\r\n").found).toEqual([[204, ""]]);
});

test("an incomplete response is none yet, and what is no response has a problem", () => {
  for (const text of ["", "HTT", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"]) {
    expect(parse(text)).toEqual({ found: [], rest: text, problem: undefined });
  }
  for (const text of [
    "<html>",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
  ]) {
    expect(parse(text).problem).toBeDefined();
  }
});
