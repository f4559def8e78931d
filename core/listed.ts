/** A list without repetitions. It appends values to an array and returns their indexes. */
export class Listed<T> {
  readonly #values: T[];
  readonly #indexes = new Map<unknown, number>();

  constructor(values: T[]) {
    this.#values = values;
  }

  get length(): number {
    return this.#values.length;
  }

  /** The index of the value with this key, which is appended if it is new. */
  indexOf(key: unknown, value: T): number {
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = this.#values.push(value) - 1;
    this.#indexes.set(key, index);
    return index;
  }
}
