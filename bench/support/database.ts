import pg from "pg";

/** The benchmark's own access to a contender's database. */
export interface Database {
  readonly url: string;
  /** The unit of `countStatements`. */
  readonly unit: "statements" | "transactions";
  /** Statements run in this database so far; committed transactions where pg_stat_statements is missing. */
  countStatements(): Promise<number>;
  count(text: string): Promise<number>;
  rows<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
  run(text: string): Promise<void>;
  close(): Promise<void>;
}

const STATEMENTS = `select coalesce(sum(calls), 0)::int as count from pg_stat_statements
  where dbid = (select oid from pg_database where datname = current_database())`;
const TRANSACTIONS = "select xact_commit::int as count from pg_stat_database where datname = current_database()";

export async function openDatabase(url: string): Promise<Database> {
  const pool = new pg.Pool({ connectionString: url, max: 2, application_name: "bench" });
  const canCount = await pool.query("create extension if not exists pg_stat_statements").then(
    () => pool.query(STATEMENTS).then(() => true),
    () => false,
  ).catch(() => false); // prettier-ignore
  const count = async (text: string) => (await pool.query<{ count: number }>(text)).rows[0]!.count;
  return {
    url,
    unit: canCount ? "statements" : "transactions",
    countStatements: () => count(canCount ? STATEMENTS : TRANSACTIONS),
    count,
    rows: async <Row extends pg.QueryResultRow>(text: string) => (await pool.query<Row>(text)).rows,
    async run(text) {
      await pool.query(text);
    },
    close: () => pool.end(),
  };
}
