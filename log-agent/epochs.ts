/**
 * The highest epoch of each shard that a worker has replied with. A shard gets a higher epoch when its database becomes another one, for
 * example when a standby is promoted. A reply with a lower epoch comes from a former primary. See sql/shard/0017-epoch.sql.
 */
export class Epochs {
  readonly #highest = new Map<string, number>();

  /** The highest epoch of a shard; undefined if none is known. */
  of(shard: string): number | undefined {
    return this.#highest.get(shard);
  }

  /** Records an epoch. Returns false if a higher one is known. */
  see(shard: string, epoch: number): boolean {
    if (epoch < (this.#highest.get(shard) ?? 0)) return false;
    this.#highest.set(shard, epoch);
    return true;
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#highest);
  }
}
