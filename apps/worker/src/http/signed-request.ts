import { createRequire } from "node:module";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { sign } from "@postrider/shared/core/signing.ts";
import type { Subscription } from "../delivery.ts";
import type { SendRequest } from "./send.ts";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
const USER_AGENT = `Postrider/${version}`;

/** Builds the request of an attempt. Its own headers win over the subscription's. */
export function signedRequest(
  { tenant, url, headers, keys, timeoutMs }: Pick<Subscription, "tenant" | "url" | "headers" | "keys" | "timeoutMs">,
  eventId: string,
  body: Buffer,
  now: Date,
): SendRequest {
  const id = toPublicId("evt", eventId);
  const timestamp = Math.floor(now.getTime() / 1000);
  return {
    tenant,
    url,
    headers: {
      ...headers,
      "content-type": "application/json",
      "user-agent": USER_AGENT,
      "accept-encoding": "identity",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": sign(keys, id, timestamp, body),
    },
    body,
    timeoutMs,
  };
}
