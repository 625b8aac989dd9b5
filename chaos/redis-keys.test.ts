import { expect, test } from "vitest";
import { breakerKey, dueRetriesKey, KEY_PREFIX, rateLimitKey, WATCHED_KEY } from "@postrider/shared/queue/keys.ts";
import { kindOf } from "./redis-keys.ts";

test("each key of Redis has a kind, and jobs are not taken for their lane's own keys", () => {
  expect(kindOf(`${KEY_PREFIX}:retry:delayed`)).toBe("delayed");
  expect(kindOf(`${KEY_PREFIX}:control:prioritized`)).toBe("prioritized");
  expect(kindOf(`${KEY_PREFIX}:dispatch:wait`)).toBe("wait");
  expect(kindOf(`${KEY_PREFIX}:dispatch:0190a1b2-0000-7000-8000-000000000000`)).toBe("job");
  expect(kindOf(`${KEY_PREFIX}:retry:0190a1b2-0000-7000-8000-000000000000-1:lock`)).toBe("lock");
  expect(kindOf(breakerKey("a"))).toBe("breaker");
  expect(kindOf(WATCHED_KEY)).toBe("breaker");
  expect(kindOf(rateLimitKey("a"))).toBe("other");
  expect(kindOf(dueRetriesKey(1))).toBe("other");
});
