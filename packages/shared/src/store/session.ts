/**
 * Settings of each session that our statements and the driver rely on. A role or a database may have others
 * (`alter role … set`), which these precede. `default_transaction_read_only` is not one of them: some providers set it
 * when the disk is full.
 */
const SETTINGS = {
  DateStyle: "ISO,MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "1",
  // Otherwise a null in a list would be the text "NULL".
  array_nulls: "on",
  standard_conforming_strings: "on",
  transform_null_equals: "off",
  // The statements are written for it: they read what others have committed while they wait for a lock.
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  // All statements use an index and are short. Compiling one takes 100 ms, and is chosen by an estimate.
  jit: "off",
};

const OPTIONS = Object.entries(SETTINGS)
  .map(([name, value]) => `-c ${name}=${value.replaceAll(" ", "\\ ")}`)
  .join(" ");

/**
 * The driver's settings for a connection with the session settings above. They follow the `options` of the URL, so that
 * they win; the driver alone would use only the URL's.
 *
 * @param more further command-line options of the server
 */
export function connectTo(databaseUrl: string, more = ""): { connectionString: string; options: string } {
  const url = new URL(databaseUrl);
  const given = url.searchParams.get("options");
  if (given === null) return { connectionString: databaseUrl, options: `${OPTIONS} ${more}` };
  url.searchParams.delete("options");
  return { connectionString: url.href, options: `${given} ${OPTIONS} ${more}` };
}
