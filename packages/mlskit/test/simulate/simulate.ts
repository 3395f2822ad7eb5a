/** A whole run: events until the steps are used up, with quiet points between. */
import { next } from "./actions.ts";
import { type SimulationOptions, World } from "./world.ts";

export interface SimulationReport {
  /** Equal for two runs with the same seed and options, and only then. */
  readonly digest: string;
  readonly steps: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** @throws Error that names the seed, the step and what went wrong */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const world = new World(options);
  await world.begin();
  const { steps, quietEvery = 500 } = options;
  while (world.step < steps) {
    const end = Math.min(steps, world.step + quietEvery);
    while (world.step < end) await next(world);
    await world.settle();
  }
  world.counts.set("keys used", world.seals.count);
  return { digest: world.digest, steps: world.step, counts: world.counts };
}
