/**
 * Whether a JSON number survives being parsed into a double and written again, perhaps in another spelling. 64-bit ids,
 * numbers of more than 17 digits and `1e400` often don't.
 *
 * @param source the number as JSON text
 */
export function isExactNumber(source: string): boolean {
  const value = Number(source);
  return Number.isFinite(value) && normalize(String(value)) === normalize(source);
}

/** The magnitude in one spelling, digits without outer zeros and a power of ten: 1e2, 100 and 100.0 are `1e2`. */
function normalize(source: string): string {
  const [mantissa = "", exponent = "0"] = source.replace(/^-/, "").toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  // A loop, because /0+$/ takes quadratic time on zeros that are not at the end.
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return end === 0 ? "0" : `${digits.slice(0, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}
