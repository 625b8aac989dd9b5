// Updates the front page in place, so that focus, selection and scroll stay. Without scripts the page reloads.

const EVERY_MS = 5_000;
const TIMEOUT_MS = 30_000;

async function update() {
  const response = await fetch("/", { headers: { accept: "text/html" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  // To the login, because the session has ended.
  if (response.redirected) return location.assign(response.url);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const wanted = new DOMParser().parseFromString(await response.text(), "text/html");
  const focused = document.activeElement;
  morph(document.querySelector("main"), wanted.querySelector("main"));
  // A node that was moved has lost the focus.
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

/** Makes an element equal to another, and keeps the nodes that both have. */
function morph(current, wanted) {
  for (const name of current.getAttributeNames()) if (!wanted.hasAttribute(name)) current.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (current.getAttribute(name) !== value) current.setAttribute(name, value);
  }
  const unused = new Set(current.childNodes);
  const children = [...wanted.childNodes].map((child) => {
    const kept = [...unused].find((node) => isSame(node, child));
    if (!kept) return child;
    unused.delete(kept);
    if (kept instanceof Element) morph(kept, child);
    else replaceText(kept, child.data);
    return kept;
  });
  for (const node of unused) node.remove();
  let next = current.firstChild;
  for (const child of children) {
    if (child === next) next = next.nextSibling;
    else current.insertBefore(child, next);
  }
}

/** Elements of a list have a key, so that one that comes or goes does not change the others. */
const isSame = (a, b) => a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;

/** Replaces only what differs: a selection ends where its text is replaced. */
function replaceText(node, wanted) {
  const { data } = node;
  const max = Math.min(data.length, wanted.length);
  let start = 0;
  while (start < max && data[start] === wanted[start]) start += 1;
  let end = 0;
  while (end < max - start && data.at(-1 - end) === wanted.at(-1 - end)) end += 1;
  const [removed, added] = [data.length - start - end, wanted.slice(start, wanted.length - end)];
  if (removed > 0 || added !== "") node.replaceData(start, removed, added);
}

async function run() {
  try {
    if (!document.hidden) await update();
  } catch {
    document.querySelector("#stale").hidden = false;
  }
  setTimeout(run, EVERY_MS);
}
setTimeout(run, EVERY_MS);
