const ANYWHERE = "http://console.invalid";

/**
 * The path to redirect to after a login: the text where it is a path on this server, else `/queues`. A link must not be
 * able to redirect to another site.
 */
export function localPath(text: unknown): string {
  if (typeof text !== "string" || !URL.canParse(text, ANYWHERE)) return "/queues";
  const url = new URL(text, ANYWHERE);
  const path = url.pathname + url.search;
  // "/.//evil.example" is a path here, but another host in a Location header.
  const isLocal = text.startsWith("/") && url.origin === ANYWHERE && !path.startsWith("//");
  return isLocal && !/^\/(login|logout)\b/.test(path) ? path : "/queues";
}
