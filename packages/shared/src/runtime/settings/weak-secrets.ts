// Finds secrets that somebody could guess. None of the sentences repeats a secret.

import { constants, deflateRawSync } from "node:zlib";

const MIN_API_KEY_CHARS = 16;
const MIN_PASSWORD_CHARS = 12;
/** How many characters must not repeat earlier ones. */
const MIN_NEW_CHARS = { apiKey: 12, password: 7 };
/** 32 random bytes have about 30 different values, and fewer than 18 in one of 500 million keys. */
const MIN_KEY_VALUES = 18;

/** Texts of examples and templates, which anybody can look up. */
const PLACEHOLDER =
  /change[-_ ]?me|example|placeholder|replace[-_ ]?(me|this|with)|your[-_ ]?\w*[-_ ]?(key|password|secret)|openssl|^<.*>$/i;

/** A password has to be more than these words with a year, digits and punctuation. */
const COMMON_WORDS = new RegExp(
  [
    "postrider|webhooks?|pass(word|wort|phrase)?|console|operator|admin(istrator)?|secret|welcome|letmein|default|login",
    "postgres(ql)?|redis|database|server|docker|grafana|production|staging|internal|company|testing|changeit",
    "iloveyou|football|baseball|basketball|superman|batman|spiderman|pokemon|starwars|liverpool|chelsea|arsenal",
    "sunshine|princess|dragon|monkey|shadow|master|hunter|ninja|flower|freedom|whatever|computer|internet|samsung",
    "summer|winter|spring|autumn|monday|friday|january|february|october|november|december|september",
    // Rows and columns of the keyboard, from either end. Shorter ones occur in random texts, too.
    "qwert[yz]?u?i?o?p?|asdfgh?j?k?l?|zxcvbn?m?|poiu[yz]t?r?e?w?q?|lkjhgf?d?s?a?|mnbvcx?z?",
    "(qwer|asdf|zxcv|poiu|lkjh|mnbv){2,}|(qaz|wsx|edc|rfv|tgb|yhn|ujm|zaq|xsw|cde|vfr|bgt|nhy|mju){3,}",
  ].join("|"),
  "g",
);
/** How many letters a password that has a common word must have beside it. */
const MIN_OTHER_LETTERS = 3;

/** A key in use can't just be replaced. */
const ADVICE =
  "is not random (generate one with: openssl rand -base64 32). If it has sealed this database, stop all processes, set " +
  "<new>,<old>, run `npm run rotate-encryption-key`, and start them again";

/** @param key the decoded ENCRYPTION_KEY, 32 bytes */
export function weakKeyProblem(key: Buffer): string | undefined {
  const steps = [...key].map((byte, index) => byte - (key[index - 1] ?? 0));
  const values = Math.min(new Set(key).size, new Set(steps).size);
  return values >= MIN_KEY_VALUES ? undefined : ADVICE;
}

/** One sentence for each weak key, by its place in the list, and one if a key is in it twice. */
export function weakApiKeyProblems(keys: readonly string[]): string[] {
  const advice = "(generate one with: openssl rand -hex 24)";
  if (keys.length === 0) return [`must have a key ${advice}`];
  const problems = keys.flatMap((key, index) => {
    const place = keys.length === 1 ? "" : `entry ${index + 1} `;
    if (key.length < MIN_API_KEY_CHARS) return [`${place}must have at least ${MIN_API_KEY_CHARS} characters ${advice}`];
    return isGuessable(key, MIN_NEW_CHARS.apiKey) ? [`${place}is easy to guess ${advice}`] : [];
  });
  if (new Set(keys).size < keys.length) problems.push("has the same key twice");
  return problems;
}

export function weakPasswordProblem(password: string): string | undefined {
  const advice = "(generate one with: openssl rand -base64 12)";
  if (password.length < MIN_PASSWORD_CHARS) return `must have at least ${MIN_PASSWORD_CHARS} characters ${advice}`;
  const plain = password.toLowerCase().replaceAll("0", "o").replaceAll("@", "a").replaceAll(/[$5]/g, "s");
  const isWeak =
    PLACEHOLDER.test(password) ||
    isGuessable(plain.replaceAll(COMMON_WORDS, ""), MIN_NEW_CHARS.password) ||
    [password.toLowerCase(), plain].some(isCommonWord);
  return isWeak ? `is easy to guess ${advice}` : undefined;
}

/** Whether the letters of a text are common words and hardly more. */
function isCommonWord(text: string): boolean {
  const letters = text.replaceAll(/\P{L}/gu, "");
  const others = letters.replaceAll(COMMON_WORDS, "");
  return others !== letters && others.length < MIN_OTHER_LETTERS;
}

const isGuessable = (text: string, minNewChars: number): boolean =>
  PLACEHOLDER.test(text) || /^(.+)\1+$/s.test(text) || isSequence(text) || newChars(text) < minNewChars;

/** Deflate with fixed codes takes a byte per character, two in all, and less for whatever was there before. */
const newChars = (text: string): number => deflateRawSync(text, { strategy: constants.Z_FIXED }).length - 2;

/** Whether most characters are neighbours of the one before them, as in `0123456789abcdef` or `zyxwvut`. */
function isSequence(text: string): boolean {
  const codes = Array.from(text.toLowerCase(), (character) => character.codePointAt(0)!);
  const neighbours = codes.slice(1).filter((code, index) => Math.abs(code - codes[index]!) === 1);
  return neighbours.length > codes.length / 2;
}
