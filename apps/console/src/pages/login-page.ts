import { USER } from "../access/password.ts";
import { escapeHtml, page } from "./page.ts";

/**
 * @param next the path to redirect to after the login
 * @param problem why the last login failed
 */
export function loginPage({ next, problem }: { next: string; problem?: string }): string {
  return page(
    "Log in",
    `<form method="post" action="/login">
${problem === undefined ? "" : `<p class="problem" role="alert">${escapeHtml(problem)}</p>\n`}<label>User
<input name="user" value="${USER}" autocomplete="username" readonly></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" required autofocus></label>
<input type="hidden" name="next" value="${escapeHtml(next)}">
<button>Log in</button>
<p class="hint">The password is the setting <code>CONSOLE_PASSWORD</code>.</p>
</form>`,
  );
}

export function logoutPage(): string {
  return page(
    "Log out",
    `<form method="post" action="/logout">
<p>You are logged in as ${USER}.</p>
<button>Log out</button>
<p class="hint"><a href="/queues">Back to the queues</a></p>
</form>`,
  );
}
