/** The part of SQLite drivers that the SQLite store uses, and where they differ. */

export interface SqliteStatement {
  run(...parameters: unknown[]): unknown;
  all(...parameters: unknown[]): unknown;
  finalize?(): unknown;
}

/** Fits `DatabaseSync` of node:sqlite, and `Database` of the other drivers. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

export type SqliteRow = Readonly<Record<string, unknown>>;

export interface SqliteQuery {
  run(...parameters: readonly unknown[]): void;
  get(...parameters: readonly unknown[]): SqliteRow | undefined;
  all(...parameters: readonly unknown[]): readonly SqliteRow[];
  finalize(): void;
}

const takesArrays: WeakMap<SqliteDatabase, boolean> = /* @__PURE__ */ new WeakMap();

/** Parameters go in as arguments, or in one array where the driver reads only its first argument. */
export function prepareQuery(database: SqliteDatabase, sql: string): SqliteQuery {
  const isArray = takesArrays.get(database) ?? probe(database);
  takesArrays.set(database, isArray);
  let statement = database.prepare(sql);
  // A driver may not be able to use a statement again that has failed, as on a full disk.
  const attempt = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      statement = replaceStatement(database, sql, statement);
      throw error;
    }
  };
  const bind = (parameters: readonly unknown[]): unknown[] =>
    isArray && parameters.length > 0 ? [[...parameters]] : [...parameters];
  return {
    run(...parameters) {
      attempt(() => statement.run(...bind(parameters)));
    },
    get(...parameters) {
      // Not the driver's get: one that leaves the statement unfinished keeps a lock on the database.
      const rows = attempt(() => statement.all(...bind(parameters))) as readonly SqliteRow[];
      return rows[0];
    },
    all(...parameters) {
      return attempt(() => statement.all(...bind(parameters))) as readonly SqliteRow[];
    },
    finalize() {
      finalize(statement);
    },
  };
}

function replaceStatement(
  database: SqliteDatabase,
  sql: string,
  failed: SqliteStatement,
): SqliteStatement {
  try {
    const fresh = database.prepare(sql);
    finalize(failed);
    return fresh;
  } catch {
    // The first error is the one to report; the next call has one of its own.
    return failed;
  }
}

function probe(database: SqliteDatabase): boolean {
  const statement = database.prepare("SELECT ? AS first, ? AS second");
  try {
    const rows = statement.all(1, 2) as readonly SqliteRow[];
    return Number(rows[0]?.["second"] ?? 0) !== 2;
  } catch {
    return true;
  } finally {
    finalize(statement);
  }
}

/** Where a driver has it, finalizing reports the statement's last error once more. */
function finalize(statement: SqliteStatement): void {
  try {
    statement.finalize?.();
  } catch {
    // That error was thrown when it happened.
  }
}

export function isDatabaseLocked(error: unknown): boolean {
  return error instanceof Error && /database (table )?is locked/.test(error.message);
}
