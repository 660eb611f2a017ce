// The story on the page: what the reader wrote, and the model's tokens, each to be picked.
import { element, stepTo } from './dom.js';
import { kSurprise, percent, spansOf, surpriseOf } from './tokens.js';

const kEnds = {
  stop: 'The end.',
  stopped: 'Stopped here.',
  'cut off': 'Cut off: the server went away.',
};

export class StoryView {
  #root;
  #onPick;
  #story = null;

  /** `onPick(part, token)` is called with places in the story. */
  constructor(root, onPick) {
    this.#root = root;
    this.#onPick = onPick;
    root.addEventListener('click', (event) => this.#pick(event.target.closest('.token')));
    root.addEventListener('keydown', (event) => this.#key(event));
  }

  show(story) {
    this.#story = story;
    this.#root.replaceChildren(...story.parts.flatMap((part, index) => this.#part(part, index)));
    this.#root.hidden = story.parts.length === 0;
    this.#makeReachable();
  }

  /** The last part has got more tokens. */
  grow() {
    const index = this.#story.parts.length - 1;
    const holder = this.#root.querySelector(`[data-part="${index}"]`);
    const spans = spansOf(this.#story.parts[index].tokens);
    holder.lastElementChild?.remove(); // its character may have become whole
    for (const span of spans.slice(holder.childElementCount)) holder.append(this.#span(index, span));
    this.#makeReachable();
  }

  /** Is a part being told? */
  telling(is) {
    this.#root.querySelector('.telling')?.classList.remove('telling');
    if (is) this.#root.querySelector(`[data-part="${this.#story.parts.length - 1}"]`)?.classList.add('telling');
    this.#root.setAttribute('aria-busy', String(is));
  }

  /** Shows which token is picked, and returns its element. */
  mark(part, token) {
    this.#root.querySelector('.picked')?.classList.remove('picked');
    const span = this.#spans().findLast(
      ({ dataset }) => Number(dataset.of) === part && Number(dataset.token) <= token);
    if (!span || token === undefined) return null;
    span.classList.add('picked');
    this.#reach(span);
    return span;
  }

  #part(part, index) {
    if (part.by === 'reader') return [element('span', { class: 'reader', data: { part: index } }, part.text)];
    const spans = spansOf(part.tokens).map((span) => this.#span(index, span));
    const before = this.#story.parts.slice(0, index).findLast(({ by }) => by === 'model');
    const cut = part.from > (before?.from ?? 0)
      ? element('span', { class: 'cut' }, 'The story outgrew what the model can hold. From here on it no longer reads the beginning.') : null;
    const end = kEnds[part.end] && index === this.#story.parts.length - 1
      ? element('span', { class: 'end' }, kEnds[part.end]) : null;
    return [cut, element('span', { class: 'told', data: { part: index } }, spans), end].filter(Boolean);
  }

  #span(part, { text, first }) {
    const { logprob, ends } = this.#story.parts[part].tokens[first];
    const shown = ends ? ' ∎' : text;
    const level = surpriseOf(logprob);
    return element('span', {
      class: level > 0 ? `token s${level}` : 'token', data: { of: part, token: first }, role: 'button', tabindex: -1,
      title: `${percent(logprob)} likely`, 'aria-label': `${ends ? 'the end' : text.trim() || 'white space'}, ${percent(logprob)}`,
    }, shown.match(/^\s+(?=\S)/)?.[0] ?? '', element('span', { class: 'ink' }, shown.replace(/^\s+(?=\S)/, '')));
  }

  #spans() {
    return [...this.#root.querySelectorAll('.token')];
  }

  #pick(span) {
    if (!span || !getSelection().isCollapsed) return; // text is being selected
    this.#onPick(Number(span.dataset.of), Number(span.dataset.token));
  }

  // One stop for the Tab key; the arrows go on from there.
  #makeReachable() {
    if (!this.#root.querySelector('.token[tabindex="0"]')) this.#root.querySelector('.token')?.setAttribute('tabindex', 0);
  }

  #reach(span) {
    this.#root.querySelector('.token[tabindex="0"]')?.setAttribute('tabindex', -1);
    span.setAttribute('tabindex', 0);
  }

  #key(event) {
    const span = event.target.closest('.token');
    if (!span || event.ctrlKey || event.metaKey || event.altKey) return;
    const spans = this.#spans();
    const target = stepTo(event.key, spans.indexOf(span), spans.length);
    if (target !== undefined) {
      this.#reach(spans[target]);
      spans[target].focus();
    } else if (event.key !== 'Enter' && event.key !== ' ') {
      return;
    }
    event.preventDefault();
    this.#pick(spans[target] ?? span);
  }
}

/** What the colours mean, as list entries. */
export function legend() {
  return kSurprise.map(({ label }, level) =>
    element('li', {}, element('i', { class: `s${level}`, 'aria-hidden': 'true' }), element('span', {}, label)));
}
