/**
 * The record of a change of many certificates: the list, then the outcome of each. It continues an
 * interrupted change with exactly these certificates, and undoes a change. As a file, it has the
 * format of `certgate cert revoke --match`, so that the command line can continue or undo it.
 *
 * @typedef {'revoke' | 'restore'} Action
 *
 * @typedef {object} Head
 * @property {number} version
 * @property {Action} action
 * @property {string | null} reason Of a revocation.
 * @property {string} server The address of the management API.
 * @property {string} zone_id
 * @property {string} conditions For people.
 * @property {string} created_on
 * @property {number} count
 *
 * @typedef {object} Planned
 * @property {string} id
 * @property {string} common_name
 *
 * @typedef {{ kind: 'changed' | 'unchanged' } | { kind: 'failed', problem: string }} Outcome
 *
 * @typedef {{ announced: number } | { changed: string } | { unchanged: string }
 *   | { failed: [string, string] }} Line
 */

/** The version of the format. */
const VERSION = 1;

/** The certificates that are announced in one line, before the first request for them. */
export const ANNOUNCED = 256;

/** The largest record file, in octets: the list and the outcomes of a million certificates. */
export const FILE_OCTETS_MAX = 256 * 1024 * 1024;

/** A file that is not a record. */
export class RecordError extends Error {
  /** @param {number} line */
  constructor(line) {
    super(`line ${line}`);
    this.line = line;
  }
}

/** @param {Action} action */
export function opposite(action) {
  return action === 'revoke' ? 'restore' : 'revoke';
}

export class Record {
  #announced = 0;
  /** @type {Map<string, Outcome>} */
  #outcomes = new Map();
  /** The certificates that a request whose answer was lost may have changed. @type {Set<string>} */
  #doubtful = new Set();
  #counts = { changed: 0, unchanged: 0, failed: 0 };

  /** The IDs of the tokens that sent requests. @type {Set<string>} */
  callers = new Set();
  isFromFile = false;

  /**
   * @param {Omit<Head, 'version' | 'count'>} about
   * @param {readonly Planned[]} planned
   */
  constructor(about, planned) {
    /** @type {Head} */
    this.head = { version: VERSION, ...about, count: planned.length };
    this.planned = planned;
  }

  /** @param {string} id */
  outcome(id) {
    return this.#outcomes.get(id) ?? null;
  }

  /** The numbers of outcomes, and of certificates without one. */
  get counts() {
    const { changed, unchanged, failed } = this.#counts;
    return { ...this.#counts, left: this.planned.length - changed - unchanged - failed };
  }

  /**
   * Returns true if the certificate has no outcome that lasts: its request was not sent, its answer
   * was lost, or the server refused it.
   *
   * @param {number} index
   */
  isLeft(index) {
    const planned = this.planned[index];
    const outcome = planned && this.outcome(planned.id);
    return planned !== undefined && (!outcome || outcome.kind === 'failed');
  }

  /**
   * Returns true if the answer to a request for the certificate was lost.
   *
   * @param {number} index
   */
  mayBeChanged(index) {
    const planned = this.planned[index];
    if (planned === undefined || !this.#doubtful.has(planned.id)) {
      return false;
    }
    const outcome = this.outcome(planned.id);
    return outcome === null || outcome.kind === 'failed';
  }

  /** Returns the certificates that the change has changed. */
  changed() {
    return this.planned.filter(({ id }) => this.outcome(id)?.kind === 'changed');
  }

  /** Returns the certificates that the change may have changed: look at their history. */
  doubtful() {
    return this.planned.filter((_, index) => this.mayBeChanged(index));
  }

  /** Returns the certificates that the server refused to change, with its reasons. */
  failed() {
    return this.planned.flatMap((one) => {
      const outcome = this.outcome(one.id);
      return outcome?.kind === 'failed' ? [{ ...one, problem: outcome.problem }] : [];
    });
  }

  /**
   * Announces the request for a certificate. Call it before you send the request.
   *
   * @param {number} index
   */
  announce(index) {
    if (index >= this.#announced) {
      this.#apply({ announced: Math.min(index + ANNOUNCED, this.planned.length) });
    }
  }

  /**
   * Says that the answer to a request was lost.
   *
   * @param {string} id
   */
  doubt(id) {
    this.#doubtful.add(id);
  }

  /**
   * Records an outcome. A refusal does not say that an earlier request has not changed the
   * certificate: the record keeps that doubt for the undo.
   *
   * @param {string} id
   * @param {Outcome} outcome
   */
  finish(id, outcome) {
    this.#set(id, outcome);
  }

  /** @param {Line} line */
  #apply(line) {
    if ('announced' in line) {
      this.#announced = Math.max(this.#announced, line.announced);
    } else if ('changed' in line) {
      this.#set(line.changed, { kind: 'changed' });
    } else if ('unchanged' in line) {
      this.#set(line.unchanged, { kind: 'unchanged' });
    } else {
      const [id, problem] = line.failed;
      this.#set(id, { kind: 'failed', problem });
    }
  }

  /**
   * @param {string} id
   * @param {Outcome} outcome
   */
  #set(id, outcome) {
    const before = this.#outcomes.get(id);
    if (before) {
      this.#counts[before.kind] -= 1;
    }
    this.#counts[outcome.kind] += 1;
    this.#outcomes.set(id, outcome);
  }

  /**
   * Returns the record as the lines of a file, in parts of moderate size.
   *
   * @param {boolean} isRunning Requests are under way.
   */
  *lines(isRunning) {
    yield text([this.head]);
    for (let at = 0; at < this.planned.length; at += 1_000) {
      yield text(this.planned.slice(at, at + 1_000));
    }
    // A reader takes every announced certificate without an outcome for doubtful.
    const isSent = (/** @type {Planned} */ { id }) =>
      this.#outcomes.has(id) || this.#doubtful.has(id);
    const announced = isRunning ? this.#announced : this.planned.findLastIndex(isSent) + 1;
    if (announced > 0) {
      yield text([{ announced }]);
    }
    /** @type {Line[]} */
    const outcomes = [];
    for (const [id, outcome] of this.#outcomes) {
      if (outcome.kind !== 'failed') {
        outcomes.push(outcome.kind === 'changed' ? { changed: id } : { unchanged: id });
      } else if (!this.#doubtful.has(id)) {
        outcomes.push({ failed: [id, outcome.problem] });
      }
    }
    yield text(outcomes);
  }

  /**
   * Reads a record file. A last line without its end does not count: a killed program leaves it.
   *
   * @param {string} file
   */
  static read(file) {
    const lines = file.split('\n');
    lines.pop();
    const head = json(lines[0], 1);
    if (!isHead(head)) {
      throw new RecordError(1);
    }
    const planned = lines.slice(1, head.count + 1).map((line, index) => {
      const one = json(line, index + 2);
      if (!isPlanned(one)) {
        throw new RecordError(index + 2);
      }
      return one;
    });
    if (planned.length < head.count) {
      throw new RecordError(lines.length);
    }
    const { version: _, count: __, ...about } = head;
    const record = new Record(about, planned);
    lines.slice(head.count + 1).forEach((line, index) => {
      const number = head.count + index + 2;
      const parsed = json(line, number);
      if (!isLine(parsed)) {
        throw new RecordError(number);
      }
      record.#apply(parsed);
    });
    record.#announcedAreDoubtful();
    record.isFromFile = true;
    return record;
  }

  /** An earlier run may have changed everything that it announced and that has no outcome. */
  #announcedAreDoubtful() {
    for (const one of this.planned.slice(0, this.#announced)) {
      if (this.outcome(one.id) === null) {
        this.#doubtful.add(one.id);
      }
    }
  }
}

/** @param {readonly unknown[]} values */
function text(values) {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

/**
 * @param {string | undefined} line
 * @param {number} number
 * @returns {unknown}
 */
function json(line, number) {
  try {
    return JSON.parse(line ?? '');
  } catch {
    throw new RecordError(number);
  }
}

/** @param {unknown} value */
function isId(value) {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

/**
 * @param {unknown} value
 * @returns {value is { [name: string]: unknown }}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null;
}

/**
 * @param {unknown} value
 * @returns {value is Head}
 */
function isHead(value) {
  return (
    isObject(value) &&
    value['version'] === VERSION &&
    (value['action'] === 'revoke' || value['action'] === 'restore') &&
    (value['reason'] === null || typeof value['reason'] === 'string') &&
    typeof value['server'] === 'string' &&
    isId(value['zone_id']) &&
    typeof value['conditions'] === 'string' &&
    typeof value['created_on'] === 'string' &&
    Number.isSafeInteger(value['count'])
  );
}

/**
 * @param {unknown} value
 * @returns {value is Planned}
 */
function isPlanned(value) {
  return isObject(value) && isId(value['id']) && typeof value['common_name'] === 'string';
}

/**
 * @param {unknown} value
 * @returns {value is Line}
 */
function isLine(value) {
  if (!isObject(value) || Object.keys(value).length !== 1) {
    return false;
  }
  const { announced, changed, unchanged, failed } = value;
  return (
    Number.isSafeInteger(announced) ||
    isId(changed) ||
    isId(unchanged) ||
    (Array.isArray(failed) && isId(failed[0]) && typeof failed[1] === 'string')
  );
}
