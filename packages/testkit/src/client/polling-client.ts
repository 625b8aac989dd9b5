import { waitFor, type WaitOptions } from "../wait.ts";
import { Client } from "./client.ts";
import type { DeliveryStatus, DeliveryWithAttempts } from "./types.ts";

/** A client that can wait for the effects of a call. */
export class PollingClient extends Client {
  /** The delivery of an event that exactly one subscription matches. */
  async deliveryOf(eventId: string): Promise<DeliveryWithAttempts> {
    const { data } = await this.eventDeliveries(eventId);
    const [only] = data;
    if (only === undefined || data.length > 1) throw new Error(`${eventId} has ${data.length} deliveries`);
    return this.delivery(only.id);
  }

  /** Waits until the event's only delivery is in this state. */
  async untilDelivery(eventId: string, status: DeliveryStatus, options?: WaitOptions): Promise<DeliveryWithAttempts> {
    let latest: DeliveryWithAttempts | undefined;
    try {
      return await waitFor(
        `the delivery of ${eventId} is ${status}`,
        async () => {
          latest = await this.deliveryOf(eventId);
          return latest.status === status && latest;
        },
        options,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}; delivery: ${JSON.stringify(latest)}`, { cause: error });
    }
  }
}
