// What the server offers, and its errors in words.
import { eventsOf } from './sse.js';

/** What went wrong, in words for the reader. `gone`: nothing answered; `wait`: the same request may succeed later. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, gone = false, wait = false } = {}) {
    super(message);
    this.name = 'ApiError';
    Object.assign(this, { status, code, gone, wait });
  }
}

const kGone = 'The server does not answer. What was told is kept here.';

/** An answer that is not a success, as an ApiError; `body` is its text. */
export function errorOf(status, body) {
  let error = null;
  try {
    error = JSON.parse(body).error;
  } catch {
    // not our server's answer: a proxy's page, perhaps
  }
  const said = typeof error?.message === 'string' ? error.message : `The server answered with status ${status}.`;
  const message = said.charAt(0).toUpperCase() + said.slice(1);
  return new ApiError(/[.!?]$/.test(message) ? message : message + '.', {
    status,
    code: error?.code ?? null,
    wait: status === 429 || status === 503,
  });
}

export class Api {
  /** For servers that ask for one. */
  key = '';

  /** The models that are served: [{id, max_model_len, meta, report: has it one?}]. */
  async models(signal) {
    const { data } = await this.#json('GET', 'v1/models', undefined, signal);
    const { reports } = await this.#json('GET', 'reports', undefined, signal);
    return data.map((model) => ({ ...model, report: reports.includes(model.id) }));
  }

  /** Is the server there and ready? */
  async ready(signal) {
    try {
      return (await fetch('health', { signal, cache: 'no-store' })).ok;
    } catch {
      return false;
    }
  }

  /** The distribution that a token was drawn from, by levels where the head has two. */
  inspect(request, signal) {
    return this.#json('POST', 'inspect', request, signal);
  }

  /** The chunks of a completion as they come. Ends with the server's [DONE]; throws ApiError when cut off before. */
  async *complete(request, signal) {
    const response = await this.#send('POST', 'v1/completions', { ...request, stream: true }, signal);
    let done = false;
    try {
      for await (const data of eventsOf(response.body)) {
        if (data === '[DONE]') {
          done = true;
          break;
        }
        const chunk = JSON.parse(data);
        if (chunk.error) throw errorOf(200, data);
        yield chunk;
      }
    } catch (error) {
      if (error instanceof ApiError || error.name === 'AbortError') throw error;
      throw new ApiError('The server went away in the middle of the story. What came is kept.', { gone: true });
    }
    if (!done) throw new ApiError('The server went away in the middle of the story. What came is kept.', { gone: true });
  }

  async #json(method, path, body, signal) {
    return (await this.#send(method, path, body, signal)).json();
  }

  async #send(method, path, body, signal) {
    const headers = {};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    let response;
    try {
      response = await fetch(path, { method, headers, signal, body: JSON.stringify(body), cache: 'no-store' });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(kGone, { gone: true });
    }
    if (!response.ok) throw errorOf(response.status, await response.text().catch(() => ''));
    return response;
  }
}
