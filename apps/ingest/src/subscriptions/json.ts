/** JSON.stringify, or undefined where the value is nested too deeply for it: JSON.parse takes deeper nesting than that. */
export function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
