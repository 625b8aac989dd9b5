/** A lane's right to work on a job: BullMQ's lock, renewed while the job is under way. */
export interface JobLease {
  /** Aborted when the lock is lost, the job's deadline is over or the worker stops: nothing new is started then. */
  readonly signal: AbortSignal;
  /** True while the lock is surely ours. A process that was frozen sees it false before any timer has told it. */
  isHeld(): boolean;
}
