// What each kind of sealed text is bound to, so that it opens nowhere else, though the tables can be written to.

export const secretOwner = (subscriptionId: string): string => subscriptionId;

export const headerOwner = (subscriptionId: string, name: string): string =>
  `${subscriptionId} header ${name.toLowerCase()}`;

/** @param key an idempotency key */
export const answerOwner = (tenant: string, key: string): string => `${tenant} ${key}`;
