import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { launchBrowser } from "@postrider/testkit/processes/browser.ts";
import { answer, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { skipBecause, useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const password = "a password for the console";
const e2e = useStack({ workers: 2, console: true, env: { CONSOLE_PASSWORD: password } });
/** The folder of the pictures: SCREENSHOTS, or a temporary one. */
const pictures = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "postrider-screenshots-"));

let browser: Browser | undefined;
let page: Page;
/** Errors of the pages, and requests to other hosts. */
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launchBrowser();
  if (browser === undefined) return;
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()}: ${message.location().url}`);
  });
  page.on("pageerror", (error) => void complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(e2e.stack.consoleUrl)) complaints.push(request.url());
  });
});
beforeEach((context) => {
  if (browser === undefined) skipBecause(context, "there is no Chromium or Chrome: install one, or set CHROMIUM_PATH");
});
afterAll(() => browser?.close());

const picture = (name: string) => page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
const open = (path: string) => page.goto(e2e.stack.consoleUrl + path);

test("an operator logs in and sees a healthy fleet with its workers", async () => {
  await open("/");
  expect(new URL(page.url()).pathname).toBe("/login");
  await page.fill("input[name=password]", password);
  await page.click("button");
  await waitFor("both workers are shown", async () => {
    await open("/");
    return (await page.textContent("main"))?.includes("2 there");
  });
  await picture("fleet-well");
  expect(await page.textContent(".verdict")).toMatch(/^All is well/);
  expect(await page.textContent("main")).toContain("Oldest past due0 s");
});

test("a dead letter shows its reason and its attempts, and Retry delivers it", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(answer(500, { body: "out of order" }));
  await e2e.api.subscribe({ tenant, url: endpoint.url, retrySchedule: ["50ms", "100ms"] });
  const event = await e2e.api.send({ type: "order.created", data: { order: 1 }, tenant });
  await e2e.api.untilDelivery(event.id, "dead");
  endpoint.behave(answer(200));

  await waitFor("the dead letter is on the board", async () => {
    await open("/queues/queue/retry?status=failed");
    await page.waitForSelector("text=order.created", { timeout: 2_000 });
    return true;
  });
  const text = async () => (await page.textContent("body")) ?? "";
  await waitFor("the reason is shown", async () => (await text()).includes("HTTP 500"));
  await picture("dead-letter");
  expect(await text()).toMatch(/exhausted/);

  // Among the buttons of a job this is the one that is not refused; it has an icon and no name.
  const actions = page.locator("main li > [data-base-ui-tooltip-trigger] button:visible");
  expect(await actions.count()).toBe(1);
  await actions.click();
  await page.getByRole("button", { name: "Confirm" }).click();
  await endpoint.untilRequests(4);
  const delivery = await e2e.api.untilDelivery(event.id, "delivered");
  expect(delivery.attemptCount).toBe(4);
  await picture("after-retry");
});

test("the front page shows failing subscriptions and links to their runbook", async () => {
  const shut = await newSubscriber(e2e, unavailableForLong, { retrySchedule: ["24h"] });
  await shut.trip();
  await shut.backlog(3);
  await waitFor("the failing subscription is shown", async () => {
    await open("/");
    return (await page.textContent("main"))?.includes("1 subscription fails");
  });
  expect(await page.textContent("main")).toContain("3 breaker");
  await picture("fleet-in-trouble");
  await page.emulateMedia({ colorScheme: "dark" });
  await picture("fleet-in-the-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 400, height: 800 });
  await picture("fleet-on-a-telephone");
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.click("text=What to do");
  expect(new URL(page.url()).hash).toBe("#breakers-open");
  expect(await page.textContent("#breakers-open")).toMatch(/Breakers open/);
  await page.click("nav >> text=Metrics");
  expect(await page.textContent("body")).toContain("postrider_build_info");
});

test("the front page updates itself, and focus, selection and scroll stay", async () => {
  const down = await newSubscriber(e2e, unavailableForLong, { retrySchedule: ["24h"] });
  await down.trip();
  await page.setViewportSize({ width: 1280, height: 300 });
  await waitFor("the failing subscriptions are shown", async () => {
    await open("/");
    return (await page.textContent("main"))?.includes("2 subscriptions fail");
  });
  await page.focus("text=What to do");
  await page.evaluate(`
    document.body.dataset.isSamePage = "yes";
    getSelection().selectAllChildren(document.querySelector(".tiles dt"));
    scrollTo(0, 120);
  `);
  const seen = () =>
    page.evaluate<Record<string, unknown>>(`({
      isSamePage: document.body.dataset.isSamePage,
      focused: document.activeElement.href,
      selected: String(getSelection()),
      scrollY,
    })`);
  const before = await seen();
  expect(before).toMatchObject({ isSamePage: "yes", selected: "Oldest past due", scrollY: 120 });
  expect(before.focused).toMatch(/#breakers-open$/);

  await down.backlog(4);
  await waitFor("the held deliveries are shown", async () => (await page.textContent(".tiles"))?.includes("7 breaker"));
  expect(await seen()).toEqual(before);
  await picture("fleet-updated");
  // A finding that comes before the focused one leaves the focus where it is.
  for (const worker of e2e.stack.workers) await worker.stop();
  await waitFor("the missing workers are shown", async () =>
    (await page.textContent(".findings"))?.includes("No worker is running"),
  );
  expect(await seen()).toMatchObject({ isSamePage: "yes", focused: before.focused, selected: before.selected });
  await picture("fleet-updated-again");
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("the front page says that it is out of date while the console does not answer, and goes on afterwards", async () => {
  await page.route("**/", (route) => route.fulfill({ status: 503, body: "" }));
  await page.waitForSelector("#stale:visible");
  await picture("fleet-out-of-date");
  await page.unroute("**/");
  await page.waitForSelector("#stale", { state: "hidden" });
  expect(complaints.splice(0)).toEqual(expect.arrayContaining([expect.stringContaining("503")]));
});

test("the console's pages have no errors and load nothing from other hosts", () => {
  expect(complaints).toEqual([]);
});
