const SCOPES = ["read", "write"] as const;
export type Scope = (typeof SCOPES)[number];

/** The holder of an API key. `tenant` undefined is an operator, who sees every tenant. */
export interface Caller {
  tenant: string | undefined;
  scopes: ReadonlySet<string>;
}

export const OPERATOR: Caller = { tenant: undefined, scopes: new Set(SCOPES) };
