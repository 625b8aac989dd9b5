const ANYWHERE = "http://console.invalid";

/**
 * A path on this server to go on to, or `/queues` where the text is anything else: an address given by a link must not
 * send a person who has just logged in to another site.
 */
export function localPath(text: unknown): string {
  if (typeof text !== "string" || !URL.canParse(text, ANYWHERE)) return "/queues";
  const url = new URL(text, ANYWHERE);
  const path = url.pathname + url.search;
  // "/.//evil.example" is a path here and another host once it stands in a Location header.
  const isLocal = text.startsWith("/") && url.origin === ANYWHERE && !path.startsWith("//");
  return isLocal && !/^\/(login|logout)\b/.test(path) ? path : "/queues";
}
