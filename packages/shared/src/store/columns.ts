import { getTableColumns, type Table } from "drizzle-orm";

/** The columns of a table for a SELECT, with the names that they have in its row type. */
export const columnsOf = (table: Table): string =>
  Object.entries(getTableColumns(table))
    .map(([field, { name }]) => (field === name ? name : `${name} as "${field}"`))
    .join(", ");
