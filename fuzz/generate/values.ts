import type { Draw } from "../draw.ts";

// Values as JSON text, because much of what is worth sending has no JavaScript value.

const NUMBERS = [
  "0",
  "-0",
  "-1",
  "1",
  "0.1",
  "1E5",
  "1e400",
  "-1e400",
  "1e-400",
  "1e131072",
  "9007199254740993",
  "12345678901234567890",
  "2147483648",
  "4294967296",
  "1.0000000000000000000001",
  // Not JSON.
  "01",
  "+1",
  ".5",
  "1.",
  "1e",
  "-",
  "0x10",
  "NaN",
  "Infinity",
];

const LITERALS = ["null", "true", "false", "nul", "True", "undefined", ""];

const STRINGS = [
  '""',
  '" "',
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\ud83d\\ude00"',
  '"\\u202eabc\\u2066"',
  '"\\ufeffabc"',
  '"\\u200b"',
  '"e\\u0301"',
  '"\u00e9"',
  '"\u{1f600}"',
  '"\\r\\nx-injected: 1"',
  '"\\u001f"',
  '"\\u007f\\u0080\\u009f"',
  '"\\uffff"',
  '"<script>alert(1)</script>"',
  '"\' or 1=1 --"',
  '"$1 %s {0} ${x}"',
  '"../../../etc/passwd"',
  '"%00%ff%2e%2e"',
  '"__proto__"',
  '"constructor"',
  '"null"',
  '"0"',
  '"\\x"',
  '"\\u12"',
  '"raw\ttab"',
  '"unclosed',
  "'single'",
];

const TIMES = [
  '"2026-02-30"',
  '"2026-02-30T00:00:00Z"',
  '"2026-13-01"',
  '"0000-01-01"',
  '"9999-12-31T23:59:59Z"',
  '"+275760-09-13T00:00:00Z"',
  '"2026-01-01T24:00:00Z"',
  '"2026-01-01T25:00:00+99:99"',
  '"1969-12-31"',
];

const DURATIONS = ['"0s"', '"-1s"', '"1"', '"1.5h"', '"99999999999h"', '"1s "', '"1S"', '"standard"', '"1e3s"'];

const URLS = [
  '"http://"',
  '"http://[::1"',
  '"http://localhost:99999/"',
  '"http://user:password@127.0.0.1/"',
  '"http://127.0.0.1/#fragment"',
  '"ht\\ntp://127.0.0.1/"',
  '"http://127.0.0.1\\\\@evil.example/"',
  '"javascript:alert(1)"',
  '"file:///etc/passwd"',
  '"http://169.254.169.254/latest/meta-data/"',
  '"http://0x7f.1/"',
  '"http://\\u202e.example/"',
  '"http://127.0.0.1:0/"',
  '"http://127.0.0.1/\\u0000"',
  '"http://127.0.0.1/\\ud800"',
  '"http://xn--/"',
  '"http://a..b/"',
  '"//127.0.0.1/"',
  '"http:127.0.0.1"',
];

const STRUCTURES = [
  "[]",
  "{}",
  "[[]]",
  "[null]",
  '{"a":1,"a":2}',
  '{"__proto__":{"isAdmin":true}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"":""}',
  '{"\\u0000":1}',
  '{"\\ud800":1}',
  '{"a":1,}',
  "[1,]",
  "[,1]",
  '{"a"}',
  "{a:1}",
  '{"toString":"x","valueOf":null,"length":-1}',
];

const large = (draw: Draw): string =>
  draw.pick([
    () => `"${"a".repeat(draw.pick([65, 129, 256, 257, 1_001, 2_049, 5_000, 70_000]))}"`,
    () => `"${"\\u00e9".repeat(draw.pick([64, 255, 1_000, 6_000]))}"`,
    () => "[".repeat(draw.pick([10, 101, 1_000, 20_000])),
    () => nested(draw.pick([10, 99, 100, 101, 500, 3_000]), "[", "]"),
    () => nested(draw.pick([10, 99, 100, 101, 500, 3_000]), '{"a":', "}"),
    () => `[${Array.from({ length: draw.pick([201, 1_001]) }, () => "0").join()}]`,
    () => `{${Array.from({ length: draw.pick([21, 101, 300]) }, (_, n) => `"m${n}":${n}`).join()}}`,
    () => `[${Array.from({ length: 60 }, () => '{"a":[]}').join()}]`,
    () => "9".repeat(draw.pick([20, 400, 5_000])),
  ])();

const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`;

/** JSON text, or nearly, that a field does not expect. */
export const hostileJson = (draw: Draw): string =>
  draw.weighted<() => string>([
    [3, () => draw.pick(NUMBERS)],
    [2, () => draw.pick(LITERALS)],
    [5, () => draw.pick(STRINGS)],
    [2, () => draw.pick(STRUCTURES)],
    [1, () => draw.pick(TIMES)],
    [1, () => draw.pick(DURATIONS)],
    [1, () => draw.pick(URLS)],
    [1, () => large(draw)],
  ])();

/** Names of members that nobody expects. */
export const HOSTILE_NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "",
  "\\u0000",
  "\\ud800",
  "id",
  "a.b",
];

/** Text for a path or a query, not encoded; code units are bytes. */
export const hostileText = (draw: Draw): string =>
  draw.pick([
    "",
    "%00",
    "%",
    "%zz",
    "%ff%fe",
    "%ed%a0%80",
    "%2e%2e%2f",
    "..",
    ".",
    "//",
    "%0d%0ax-injected:%201",
    "__proto__",
    "null",
    "-1",
    "0",
    "1e3",
    "999999999999",
    "\u00e9\u00ff",
    "%F0%9F%98%80",
    "%E2%80%AE",
    "*",
    "'",
    "%27%20or%201=1",
    "a".repeat(draw.pick([65, 300, 4_000])),
    "2026-02-30",
    "2026-01-01T00:00:00%2B99:99",
    "9999999-01-01",
    "+1",
    "evt_",
    "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    "sub_8zzzzzzzzzzzzzzzzzzzzzzzzz",
    "DLV_01h455vb4pex5vsknk084sn02q",
    "evt_01h455vb4pex5vsknk084sn02q",
    "sub_01h455vb4pex5vsknk084sn02q",
    "dlv_00000000000000000000000000",
    "dlv_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    "01890a5d-ac96-774b-bcce-b302099a8057",
  ]);
