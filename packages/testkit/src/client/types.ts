// The resources of the REST API, as a caller sees them.

export interface Accepted {
  id: string;
  type: string;
  tenant: string;
  createdAt: string;
  deliveries: number;
  expanding: boolean;
  duplicate: boolean;
}

export interface Event {
  id: string;
  type: string;
  tenant: string;
  createdAt: string;
  deliveries: number;
  expanding: boolean;
  data: unknown;
}

export interface NewEvent {
  type: string;
  data: unknown;
  tenant?: string;
  idempotencyKey?: string;
}

export interface Subscription {
  id: string;
  tenant: string;
  url: string;
  eventTypes: string[];
  description: string | null;
  headers: Record<string, string>;
  rateLimit: number | null;
  maxInFlight: number;
  timeoutMs: number;
  retrySchedule: string[] | string;
  metadata: Record<string, unknown>;
  status: "active" | "paused" | "disabled";
  disabledReason: string | null;
  lastSuccessAt: string | null;
  lastFailureAt: string | null;
  lastError: string | null;
  breaker: { state: "closed" | "open" | "half_open"; failures: number; retryAt: string | null };
  limit: { because: string; max: number; ratePerSecond: number | null } | null;
  held: number;
  heldReasons: Record<string, number>;
  oldestHeldAt: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface NewSubscription {
  url: string;
  eventTypes?: string[];
  tenant?: string;
  description?: string;
  secret?: string;
  headers?: Record<string, string>;
  rateLimit?: number;
  maxInFlight?: number;
  timeoutMs?: number | null;
  retrySchedule?: string[] | string;
  metadata?: Record<string, unknown>;
}

export type DeliveryStatus = "pending" | "retrying" | "held" | "delivered" | "dead" | "cancelled";

export interface Delivery {
  id: string;
  event: string;
  subscription: string;
  tenant: string;
  eventType: string;
  status: DeliveryStatus;
  heldReason: string | null;
  deadReason: string | null;
  attemptCount: number;
  nextAttemptAt: string | null;
  lastError: string | null;
  createdAt: string;
  settledAt: string | null;
}

export interface Attempt {
  id: string;
  number: number;
  trigger: "auto" | "manual" | "probe";
  startedAt: string;
  durationMs: number;
  responseStatus: number | null;
  responseBody: string | null;
  error: string | null;
}

export interface DeliveryWithAttempts extends Delivery {
  attempts: Attempt[];
}

export interface Page<T> {
  data: T[];
  nextCursor: string | null;
}

export interface Problem {
  code: string;
  status: number;
  title: string;
  detail?: string;
  errors?: { field: string; message: string }[];
}
