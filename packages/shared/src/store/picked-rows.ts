/**
 * A condition for the deliveries `d` that a CTE of the same statement has selected and locked. It finds them by primary
 * key, in the partitions between the first and the last of them.
 *
 * @param picked name of the materialized CTE with their ids
 */
export const isOneOf = (picked: string): string => `d.id = any (array(select id from ${picked}))
        and d.id >= (select id from ${picked} order by id limit 1)
        and d.id <= (select id from ${picked} order by id desc limit 1)`;
