/** A small page of our own, without scripts. `body` is HTML; everything that is not ours in it went through `escapeHtml`. */
export function page(title: string, body: string, head = ""): string {
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
<main>
<h1><img src="/assets/icon.svg" alt="" width="28" height="28">Postrider</h1>
${body}
</main>
</body>
</html>
`;
}

export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
