// Whether the server is there: looked at now and then, often while it is gone.

const kWhileThere = 5_000; // milliseconds
const kWhileGone = 1_000;

export class Connection {
  #api;
  #onChange;
  #state = 'asking';
  #timer = 0;

  /** `onChange('ready' | 'gone')` */
  constructor(api, onChange) {
    this.#api = api;
    this.#onChange = onChange;
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.check();
    });
  }

  async check() {
    clearTimeout(this.#timer);
    this.#settle((await this.#api.ready(AbortSignal.timeout(5000))) ? 'ready' : 'gone');
  }

  /** A request got no answer. */
  lost() {
    this.#settle('gone');
  }

  #settle(state) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => document.hidden || this.check(), state === 'ready' ? kWhileThere : kWhileGone);
    if (state === this.#state) return;
    this.#state = state;
    this.#onChange(state);
  }
}
