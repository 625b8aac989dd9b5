// A webhook pipeline as it is usually written: rows one by one, and one BullMQ job per delivery.
import type { JobsOptions } from "bullmq";

/** The task of the textbook's producer and worker. */
export interface TextbookTask {
  databaseUrl: string;
  redisUrl: string;
  /** Where the deliveries go. */
  url: string;
  deliveries: number;
}

/** Reported by the producer when everything is queued. */
export interface Queued {
  kind: "queued";
}

export interface TextbookJob {
  deliveryId: string;
  eventId: string;
  subscriptionId: string;
}

export const TEXTBOOK_QUEUE = "textbook";
export const TEXTBOOK_JOB: JobsOptions = {
  attempts: 6,
  backoff: { type: "exponential", delay: 2_000 },
  removeOnComplete: true,
};

export const TEXTBOOK_SCHEMA = `
  create table subscriptions (id uuid primary key, url text not null, secret text not null);
  create table events (id uuid primary key, type text not null, body text not null, created_at timestamptz not null default now());
  create table deliveries (id uuid primary key, event_id uuid not null references events, subscription_id uuid not null references subscriptions,
    status text not null default 'pending', attempts int not null default 0, delivered_at timestamptz);
  create index on deliveries (status);
  create table attempts (id uuid primary key, delivery_id uuid not null references deliveries, status int not null, response text not null,
    duration_ms int not null, created_at timestamptz not null default now());
  create index on attempts (delivery_id)`;
