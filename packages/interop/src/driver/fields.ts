/** Reading JSON of which every key must be known and of the right type. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #read = new Set<string>();

  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Error(`${where}: an object was expected`);
    }
    this.#values = value as Readonly<Record<string, unknown>>;
    this.#where = where;
  }

  error(message: string): Error {
    return new Error(`${this.#where}: ${message}`);
  }

  names(): string[] {
    return Object.keys(this.#values);
  }

  /** @throws Error if a key was never asked for: a misspelt option would go unnoticed */
  finish(): void {
    const unknown = this.names().filter((name) => !this.#read.has(name));
    if (unknown.length > 0) throw this.error(`unknown: ${unknown.join(", ")}`);
  }

  object(name: string): Fields {
    return new Fields(this.#take(name), `${this.#where}.${name}`);
  }

  objects(name: string): Fields[] {
    return this.#list(name).map((value, i) => new Fields(value, `${this.#where}.${name}[${i}]`));
  }

  inner<T>(name: string, read: (fields: Fields) => T): T {
    const fields = this.object(name);
    const value = read(fields);
    fields.finish();
    return value;
  }

  inners<T>(name: string, read: (fields: Fields) => T): T[] {
    return this.objects(name).map((fields) => {
      const value = read(fields);
      fields.finish();
      return value;
    });
  }

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined) throw this.error(`${name} is missing`);
    return value;
  }

  optionalText(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.error(`${name} must be a text`);
  }

  number(name: string): number {
    const value = this.optionalNumber(name);
    if (value === undefined) throw this.error(`${name} is missing`);
    return value;
  }

  optionalNumber(name: string): number | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === "number") return value;
    throw this.error(`${name} must be a number`);
  }

  flag(name: string): boolean {
    const value = this.#take(name) ?? false;
    if (typeof value !== "boolean") throw this.error(`${name} must be true or false`);
    return value;
  }

  texts(name: string): string[] {
    return this.#list(name).map((value) => {
      if (typeof value !== "string") throw this.error(`${name} must be a list of texts`);
      return value;
    });
  }

  numbers(name: string): number[] {
    return this.#list(name).map((value) => {
      if (typeof value !== "number") throw this.error(`${name} must be a list of numbers`);
      return value;
    });
  }

  #list(name: string): unknown[] {
    const value = this.#take(name) ?? [];
    if (!Array.isArray(value)) throw this.error(`${name} must be a list`);
    return value;
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return this.#values[name];
  }
}
