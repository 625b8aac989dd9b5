/** The REST API as the demo needs it. */
export interface Api {
  readonly url: string;
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
}

/** @throws Error with the problem's own words where the answer is not a 2xx */
export function connect(url: string, apiKey: string): Api {
  return {
    url,
    async call<T>(method: string, path: string, body?: unknown): Promise<T> {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
      return (text === "" ? undefined : JSON.parse(text)) as T;
    },
  };
}

export interface DeliveryView {
  id: string;
  event: string;
  eventType: string;
  status: string;
  deadReason: string | null;
  heldReason: string | null;
  attemptCount: number;
}

/** Every delivery of a subscription, page by page. */
export async function deliveriesOf(api: Api, subscription: string): Promise<DeliveryView[]> {
  const all: DeliveryView[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: { data: DeliveryView[]; nextCursor: string | null } = await api.call(
      "GET",
      `/v1/deliveries?subscription=${subscription}&limit=200${cursor === "" ? "" : `&cursor=${cursor}`}`,
    );
    all.push(...page.data);
    cursor = page.nextCursor;
  }
  return all;
}
