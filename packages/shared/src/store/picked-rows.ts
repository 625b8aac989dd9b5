/**
 * Finds deliveries again, `d`, that the same statement has picked and locked: by primary key, in the partitions between the
 * first and the last of them.
 *
 * @param picked name of the materialized CTE that has their ids
 */
export const isOneOf = (picked: string): string => `d.id = any (array(select id from ${picked}))
        and d.id >= (select id from ${picked} order by id limit 1) and d.id <= (select id from ${picked} order by id desc limit 1)`;
