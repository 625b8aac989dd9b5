const MENU = [
  ["/", "Fleet"],
  ["/queues", "Queues"],
  ["/metrics", "Metrics"],
  ["/docs", "Docs"],
  ["/logout", "Log out"],
] as const;

/**
 * A page of the console, which works without scripts.
 *
 * @param head HTML for the head
 * @param body HTML; the caller escapes every value in it
 * @param isWide a full page with the menu, for a logged-in user; otherwise a small card
 */
export function page(title: string, body: string, { head = "", isWide = false } = {}): string {
  const menu = MENU.map(([href, name]) => `<a href="${href}">${name}</a>`).join("");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · Postrider</title>
<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/page.css">
${head}</head>
<body>
<main${isWide ? ' class="wide"' : ""}>
<h1><img src="/assets/icon.svg" alt="" width="28" height="28">Postrider${isWide ? `<nav>${menu}</nav>` : ""}</h1>
${body}
</main>
</body>
</html>
`;
}

export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
