/** A loop over one queue. */
export interface Lane {
  /** Takes no more jobs, gives back what is not started, waits for what is on the wire. */
  stop(): Promise<void>;
}
