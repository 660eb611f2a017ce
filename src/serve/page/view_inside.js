// Inside a token: the distribution that it was drawn from, level by level.
import { element } from './dom.js';
import { count, percent, visible } from './tokens.js';

const kRowsOfLevel = 6;
const kGroupWords = 4;

const share = (logprob) => Math.exp(logprob);
const textOfToken = (text) => element('span', { class: 'token-text' }, visible(text));

/** A list entry with a bar; `most` is the probability that fills it. */
function row({ name, logprob, most, picked = false, onClick = null, rest = false }) {
  const bar = element('i', {});
  bar.style.width = `${Math.min(100, (100 * share(logprob)) / most)}%`;
  const classes = ['row', picked && 'picked', rest && 'rest'].filter(Boolean).join(' ');
  const content = [
    element('span', { class: 'name' }, name),
    element('span', { class: 'track', 'aria-hidden': 'true' }, bar),
    element('span', { class: 'value' }, percent(logprob)),
  ];
  if (onClick) return element('li', {}, element('button', { type: 'button', class: classes, 'aria-pressed': String(picked), on: { click: onClick } }, content));
  return element('li', { class: classes }, content);
}

/** The entries of `list` that are shown: the likeliest, and the one that was picked. */
function shownOf(list, isPicked, atMost) {
  const likeliest = list.slice(0, atMost);
  const picked = list.find(isPicked);
  return picked && !likeliest.includes(picked) ? [...likeliest.slice(0, -1), picked] : likeliest;
}

function rows(list, isPicked, describe, atMost = kRowsOfLevel) {
  const shown = shownOf(list, isPicked, atMost);
  const most = Math.max(...shown.map((entry) => share(entry.logprob)));
  return element('ul', { class: 'rows' }, shown.map((entry) =>
    row({ logprob: entry.logprob, most, picked: isPicked(entry), ...describe(entry) })));
}

/** One bar as wide as all probability, a piece for each entry. */
function strip(list, isPicked) {
  const pieces = list.map((entry) => {
    const piece = element('i', { class: isPicked(entry) ? 'picked' : '' });
    piece.style.width = `calc(${100 * share(entry.logprob)}% - 1px)`;
    return piece;
  });
  return element('div', { class: 'strip', 'aria-hidden': 'true' }, pieces);
}

/** What leads from the picked piece of one strip to all of the next. */
function fan(list, isPicked) {
  const at = list.findIndex(isPicked);
  const left = 100 * list.slice(0, at).reduce((sum, entry) => sum + share(entry.logprob), 0);
  const right = left + Math.max(0.4, 100 * share(list[at].logprob));
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  drawing.setAttribute('viewBox', '0 0 100 26');
  drawing.setAttribute('preserveAspectRatio', 'none');
  drawing.setAttribute('class', 'fan');
  drawing.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', `M${left} 0L${right} 0L100 26L0 26Z`);
  drawing.append(path);
  return drawing;
}

function level(className, number, title, about, ...content) {
  return element('section', { class: `level ${className}` },
    element('header', {}, number ? element('b', { 'aria-hidden': 'true' }, number) : null, element('h3', {}, title), element('small', {}, about)),
    content);
}

/** A number with what it is below it. */
const fact = (className, value, name) =>
  element('div', { class: className }, element('dt', {}, name), element('dd', {}, value));
const sign = (text) => element('div', { class: 'sign', 'aria-hidden': 'true' }, text);

/** A class's name: its token, or its group's likeliest tokens and how many it has. */
function className(entry) {
  if (entry.kind === 'token') return [textOfToken(entry.tokens[0].text), element('small', {}, 'single')];
  const words = entry.tokens.slice(0, kGroupWords).map(({ text }) => visible(text).replace(/^␣/, '')).join(', ');
  return [element('span', { class: 'words' }, words), entry.size > kGroupWords ? element('small', {}, `+${count(entry.size - kGroupWords)}`) : null];
}

export class InsideView {
  #root;
  #onStep;
  #answer = null;
  #class = null; // whose tokens are shown

  /** `onStep(±1)`: the token before, the one after. */
  constructor(root, onStep) {
    this.#root = root;
    this.#onStep = onStep;
    this.empty();
  }

  empty() {
    this.#answer = null;
    this.#root.replaceChildren(
      element('h2', {}, 'Pick a token of the story'),
      element('p', { class: 'lead' }, 'Here you see what else could have stood in its place, and how likely the model found it. A two-level head first picks a group of the vocabulary, then a token inside it; both choices are shown.'));
  }

  busy(is) {
    this.#root.setAttribute('aria-busy', String(is));
  }

  failed(message) {
    this.#root.replaceChildren(element('h2', {}, 'This token cannot be looked into now'), element('p', { class: 'lead' }, message));
  }

  /** `answer` is the server's, `before` the text that leads up to the token. */
  show(answer, before) {
    this.#answer = { ...answer, before };
    this.#class = answer.levels?.class ?? null;
    this.#draw();
  }

  #draw() {
    const { token, levels, joint, before, vocabulary } = this.#answer;
    const isToken = (entry) => entry.id === token.id;
    this.#root.replaceChildren(
      this.#steps(),
      element('p', { class: 'place' }, element('span', { class: 'before' }, element('bdi', { dir: 'ltr' }, before)), element('span', { class: 'chip' }, visible(token.text))),
      element('dl', { class: 'facts' }, fact('third', percent(token.logprob), 'likely'), ...(levels ? this.#product(levels) : [])),
      element('p', { class: 'lead' }, `${(-token.logprob).toFixed(2)} nats of surprise; number ${count(token.rank)} of ${count(vocabulary)} tokens`),
      ...(levels ? this.#levels(levels, isToken) : []),
      level('third', null, 'Of all tokens together', 'the likeliest',
        rows(joint, isToken, (entry) => ({ name: textOfToken(entry.text) }), joint.length)));
  }

  #steps() {
    const step = (by, text, label) =>
      element('button', { type: 'button', class: 'button quiet', 'aria-label': label, on: { click: () => this.#onStep(by) } }, text);
    return element('div', { class: 'step' }, step(-1, '‹', 'The token before'), step(1, '›', 'The token after'));
  }

  #levels(levels, isToken) {
    const isShown = (entry) => entry.class === this.#class;
    const shown = levels.classes.find(isShown);
    const single = levels.shortlist > 0 ? ` + ${count(levels.shortlist)} single tokens` : '';
    const first = level('first', '1', 'Which group?', `${count(levels.groups)} groups${single}`,
      rows(levels.classes, isShown, (entry) => ({ name: className(entry), onClick: () => this.#open(entry.class) })),
      strip(levels.classes, isShown),
      fan(levels.classes, isShown));
    const second = level('second', '2', 'Which token inside it?', this.#aboutGroup(shown, levels.class),
      strip(shown.tokens, isToken),
      rows(shown.tokens, isToken, (entry) => ({ name: textOfToken(entry.text) })));
    return [first, second];
  }

  #aboutGroup(shown, chosen) {
    if (shown.kind === 'token') return 'a single one';
    return `of ${count(shown.size)}${shown.class === chosen ? '' : ', in a group not chosen'}`;
  }

  #product(levels) {
    const own = levels.classes.find((entry) => entry.class === levels.class);
    return [sign('='), fact('first', percent(own.logprob), 'this group'),
      sign('×'), fact('second', percent(levels.token_logprob), 'this token in it')];
  }

  #open(index) {
    this.#class = index;
    this.#draw();
    this.#root.querySelector('button.row.picked')?.focus({ preventScroll: true });
  }
}
