/** Who holds a lock of the file store, and whether it still can. P-MP-01. */
import fs from "node:fs";
import os from "node:os";

export interface LockOwner {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** What the process id means something in: containers may share a host name, but not that. */
  readonly pidNamespace: string | undefined;
  /** Boot and start time of the process, where the platform tells; unmasks a reused process id. */
  readonly started: string;
  /** When the store was opened, for platforms that do not. */
  readonly since: number;
  /** It keeps the lock until it closes the store, and touches it every {@link HEARTBEAT}. */
  readonly exclusive: boolean;
  /** It runs, but gave up with the lock in its hands; whoever comes next has to recover. */
  readonly isAbandoned: boolean;
}

/** How often a process shows that it has the store open, in milliseconds. */
export const HEARTBEAT = 5000;
/** Heartbeats missed for so long prove the end of a process of which nothing else is known. */
const SILENCE = 60_000;
const CLOCK_TOLERANCE = 120_000;

/** Those in this process that are, in case that they could not tell others. */
export const abandoned: Set<string> = new Set();

export function describeOwner(token: string, exclusive: boolean): LockOwner {
  const { started } = processOf(process.pid);
  const { pid } = process;
  const place = { host: os.hostname(), pidNamespace: pidNamespace() };
  return { token, pid, ...place, started, since: Date.now(), exclusive, isAbandoned: false };
}

export function readOwner(file: string): LockOwner | undefined {
  try {
    // Earlier builds wrote none of these.
    const before = { exclusive: false, pidNamespace: undefined, isAbandoned: false };
    const owner: unknown = { ...before, ...JSON.parse(fs.readFileSync(file, "utf8")) };
    return isOwner(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isOwner(value: unknown): value is LockOwner {
  if (typeof value !== "object" || value === null) return false;
  const { token, pid, host, pidNamespace, started, since, exclusive, isAbandoned } =
    value as Partial<Record<keyof LockOwner, unknown>>;
  return (
    typeof token === "string" &&
    /^[0-9a-f]{24}$/.test(token) &&
    typeof pid === "number" &&
    typeof host === "string" &&
    (pidNamespace === undefined || typeof pidNamespace === "string") &&
    typeof started === "string" &&
    typeof since === "number" &&
    typeof exclusive === "boolean" &&
    typeof isAbandoned === "boolean"
  );
}

/** Unknown counts as alive: a lock is taken over only on proof. */
export function isAlive(owner: LockOwner): boolean {
  return lifeOf(owner) !== "dead";
}

/**
 * The same for marks with a heartbeat, of which silence is proof enough: whoever made them asks
 * before each write whether they still count.
 */
export function isBeating(owner: LockOwner, file: string): boolean {
  const life = lifeOf(owner);
  if (life !== "unknown") return life === "alive";
  const touched = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return touched !== undefined && Date.now() - touched < SILENCE;
}

function lifeOf(owner: LockOwner): "alive" | "dead" | "unknown" {
  if (owner.isAbandoned || abandoned.has(owner.token)) return "dead";
  if (owner.host !== os.hostname()) return "unknown";
  if (isOfFormerBoot(owner)) return "dead";
  if (owner.pidNamespace !== pidNamespace()) return "unknown";
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "dead";
  }
  const { started, isZombie } = processOf(owner.pid);
  const isReused = started !== "" && owner.started !== "" && started !== owner.started;
  return isZombie || isReused ? "dead" : "alive";
}

function isOfFormerBoot(owner: LockOwner): boolean {
  const { started } = processOf(process.pid);
  if (started !== "" && owner.started !== "") return bootOf(started) !== bootOf(owner.started);
  const booted = Date.now() - os.uptime() * 1000;
  return owner.since <= booted - CLOCK_TOLERANCE;
}

const bootOf = (started: string): string | undefined => started.split("/")[0];

/** Empty on platforms that have one for all. */
function pidNamespace(): string {
  try {
    return fs.readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** What /proc knows about a process; on other platforms `started` is empty. */
function processOf(pid: number): { readonly started: string; readonly isZombie: boolean } {
  try {
    const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may contain anything; state and start time are fields 1 and 20 after.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      started: `${boot}/${fields[19] ?? ""}`,
      isZombie: fields[0] === "Z" || fields[0] === "X",
    };
  } catch {
    return { started: "", isZombie: false };
  }
}
