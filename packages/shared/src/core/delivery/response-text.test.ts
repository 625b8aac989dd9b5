import fc from "fast-check";
import { expect, test } from "vitest";
import { safeText } from "./response-text.ts";

test("valid text is unchanged", () => {
  expect(safeText(Buffer.from('{"ok":true} ✓ 🎉\r\n'))).toBe('{"ok":true} ✓ 🎉\r\n');
});

test("NUL and bytes that are not UTF-8 become U+FFFD", () => {
  expect(safeText(Buffer.from([0x61, 0x00, 0x62, 0xff, 0x63]))).toBe("a\uFFFDb\uFFFDc");
});

test("a truncated character at the end is replaced", () => {
  expect(safeText(Buffer.from("✓").subarray(0, 2))).toBe("\uFFFD");
});

test("the text of any bytes has no NUL and no lone surrogate", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = safeText(bytes);
      expect(text.includes("\0")).toBe(false);
      expect(text.isWellFormed()).toBe(true);
    }),
  );
});
