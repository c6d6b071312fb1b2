/**
 * Sends the requests of a record, several at once, until each certificate has its outcome.
 *
 * @typedef {{ kind: 'changed' } | { kind: 'unchanged' } | { kind: 'failed', problem: string }
 *   | { kind: 'again', seconds: number, isSent: boolean, why: 'busy' | 'lost' }
 *   | { kind: 'stop', problem: string }} Reply
 * `again`: the server is busy, or unreachable; `isSent`: it may have executed the request.
 *
 * @callback Send
 * @param {import('./record.js').Planned} certificate
 * @param {boolean} mayBeChanged An earlier request may have changed it.
 * @returns {Promise<Reply>}
 *
 * @typedef {{ phase: 'running' } | { phase: 'waiting', why: 'busy' | 'lost' }
 *   | { phase: 'stopped', problem: string | null } | { phase: 'done' }} State
 */

/** The requests at once. A browser opens six connections to a server, and pages need some. */
const JOBS = 4;

export class Run {
  #record;
  #send;
  #pause;
  #next = 0;
  /** What every request waits for. @type {Promise<void> | null} */
  #gate = null;
  #isStopped = false;
  /** @type {State} */
  state = { phase: 'stopped', problem: null };

  /** Called after each outcome and each change of the state. */
  onChange = () => {};

  /**
   * @param {import('./record.js').Record} record
   * @param {Send} send
   * @param {(seconds: number) => Promise<void>} pause
   */
  constructor(record, send, pause) {
    this.#record = record;
    this.#send = send;
    this.#pause = pause;
  }

  /** Begins, or continues with the certificates that are left. */
  async start() {
    this.#isStopped = false;
    this.#next = 0;
    this.#set({ phase: 'running' });
    await Promise.all(Array.from({ length: JOBS }, () => this.#work()));
    if (!this.#isStopped) {
      this.#set({ phase: 'done' });
    }
  }

  /** Sends no more requests. Those that are under way are finished. */
  stop() {
    this.#end(null);
  }

  /** @param {string | null} problem */
  #end(problem) {
    if (!this.#isStopped && this.state.phase !== 'done') {
      this.#isStopped = true;
      this.#set({ phase: 'stopped', problem });
    }
  }

  async #work() {
    for (let index = this.#take(); index !== null; index = this.#take()) {
      await this.#change(index);
    }
  }

  /** Takes the next certificate that is left. */
  #take() {
    while (!this.#isStopped && this.#next < this.#record.planned.length) {
      const index = this.#next;
      this.#next += 1;
      if (this.#record.isLeft(index)) {
        return index;
      }
    }
    return null;
  }

  /** @param {number} index */
  async #change(index) {
    const planned = this.#record.planned[index];
    if (planned === undefined) {
      return;
    }
    this.#record.announce(index);
    for (;;) {
      while (this.#gate) {
        await this.#gate;
      }
      if (this.#isStopped) {
        return;
      }
      const reply = await this.#asked(planned, this.#record.mayBeChanged(index));
      if (reply.kind === 'again') {
        if (reply.isSent) {
          this.#record.doubt(planned.id);
        }
        this.#wait(reply.seconds, reply.why);
        continue;
      }
      if (reply.kind === 'stop') {
        this.#end(reply.problem);
        return;
      }
      this.#record.finish(planned.id, reply);
      if (!this.#isStopped && !this.#gate && this.state.phase !== 'running') {
        this.#set({ phase: 'running' });
      } else {
        this.onChange();
      }
      return;
    }
  }

  /**
   * @param {import('./record.js').Planned} planned
   * @param {boolean} mayBeChanged
   */
  async #asked(planned, mayBeChanged) {
    try {
      return await this.#send(planned, mayBeChanged);
    } catch (error) {
      this.#record.doubt(planned.id);
      throw error;
    }
  }

  /**
   * Lets every request wait. After a pause, one that was under way may ask for another.
   *
   * @param {number} seconds
   * @param {'busy' | 'lost'} why
   */
  #wait(seconds, why) {
    if (this.#isStopped || this.#gate) {
      return;
    }
    this.#set({ phase: 'waiting', why });
    this.#gate = this.#pause(seconds).finally(() => {
      this.#gate = null;
    });
  }

  /** @param {State} state */
  #set(state) {
    this.state = state;
    this.onChange();
  }
}
