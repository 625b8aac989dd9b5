const LOCALE = "en-GB";
const UNITS = [
  { ms: 86_400_000, name: "d" },
  { ms: 3_600_000, name: "h" },
  { ms: 60_000, name: "min" },
  { ms: 1_000, name: "s" },
] as const;

/** `12,345` */
export const count = (value: number): string => value.toLocaleString(LOCALE);

/** A length of time in its largest unit: `0 s`, `12 s`, `3 min`, `2 d`. */
export function age(ms: number): string {
  const unit = UNITS.find((one) => ms >= one.ms) ?? UNITS[3];
  return `${Math.floor(Math.max(0, ms) / unit.ms)} ${unit.name}`;
}

/** `1.4 MB`, in powers of ten. */
export function bytes(value: number): string {
  const [size, unit] = value >= 1e9 ? [value / 1e9, "GB"] : value >= 1e6 ? [value / 1e6, "MB"] : [value / 1e3, "kB"];
  return `${size.toLocaleString(LOCALE, { maximumFractionDigits: size < 10 ? 1 : 0 })} ${unit}`;
}

/** `2026-01-01 12:00:00 UTC` */
export const moment = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
