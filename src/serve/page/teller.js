// One continuation of a story at a time: asked for, added token by token, stopped, put right when it does not fit.
import { ApiError } from './api.js';
import { requestOf } from './settings.js';
import { laterHalf, promptOf, storyText } from './story.js';
import { textOf } from './tokens.js';

const kShortenings = 6; // each leaves half of the text

/** The tokens of a chunk's choice: [{id, text, logprob}]. */
export function tokensOf({ logprobs, tokens: ids }) {
  return (logprobs?.tokens ?? []).map((text, index) => ({ id: ids?.[index] ?? null, text, logprob: logprobs.token_logprobs[index] }));
}

/** The token that ends a text is told, and no part of the text: here it gets no text, and is marked. */
export function markEnd(tokens, shown) {
  const last = tokens.at(-1);
  if (last && textOf(tokens).length > shown.length) Object.assign(last, { text: '', ends: true });
}

export class Teller {
  #api;
  #abort = null;

  constructor(api) {
    this.#api = api;
  }

  get telling() {
    return this.#abort !== null;
  }

  stop() {
    this.#abort?.abort();
  }

  /**
   * Adds a part to the story. `onBegin` is called when the part is there, `onToken(times)` for what came, with the times
   * in milliseconds of {asked, first, last}. Resolves when the part has ended; the part stays where at least one token came. Throws
   * ApiError for what stopped it, after settling the part.
   */
  async tell(story, { model, settings, seed }, { onBegin, onToken }) {
    const before = story.parts.findLast((part) => part.by === 'model');
    const part = { by: 'model', model, seed, from: before?.from ?? 0, tokens: [], end: null };
    story.parts.push(part);
    this.#abort = new AbortController();
    onBegin();
    try {
      await this.#fit(story, part, requestOf(settings, seed), onToken);
    } catch (error) {
      if (error.name !== 'AbortError') {
        part.end = 'cut off';
        throw error;
      }
      part.end = 'stopped';
    } finally {
      this.#abort = null;
      if (part.tokens.length === 0 && part.end !== 'stop') story.parts.pop();
    }
  }

  /** Where text and what is asked for are longer than the context, the model reads from the later half. */
  async #fit(story, part, request, onToken) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#stream(story, part, request, onToken);
      } catch (error) {
        const text = storyText(story);
        const from = laterHalf(text, part.from);
        const shorter = error instanceof ApiError && error.code === 'context_length_exceeded' && from < text.length;
        if (!shorter || tries === kShortenings) throw error;
        part.from = from;
      }
    }
  }

  async #stream(story, part, request, onToken) {
    const asked = performance.now();
    let first = null;
    let shown = '';
    const prompt = promptOf(story, story.parts.length - 1);
    const chunks = this.#api.complete(
      { ...request, model: part.model, prompt, logprobs: 0, return_tokens: true }, this.#abort.signal);
    for await (const { choices } of chunks) {
      if (!choices[0]) continue; // usage
      const tokens = tokensOf(choices[0]);
      part.tokens.push(...tokens);
      shown += choices[0].text;
      part.end = choices[0].finish_reason ?? part.end;
      if (part.end === 'stop') markEnd(part.tokens, shown);
      if (tokens.length === 0) continue;
      const last = performance.now();
      first ??= last;
      onToken({ asked, first, last });
    }
  }
}
