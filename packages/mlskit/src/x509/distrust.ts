/** Why a chain is not to be trusted. Caught inside this folder, where it becomes a verdict. */
export class Distrust extends Error {
  /** In words that may be logged. */
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}
