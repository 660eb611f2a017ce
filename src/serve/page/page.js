// The page: a story, the models that tell it, and what is inside its tokens.
import { Api, ApiError } from './api.js';
import { Connection } from './connection.js';
import { byId, element } from './dom.js';
import { seedOf, settingsFrom } from './settings.js';
import { joined, newStory, partText, promptOf, Store, storyText, storyTitle } from './story.js';
import { Teller } from './teller.js';
import { InsideView } from './view_inside.js';
import { Panel } from './view_panel.js';
import { SettingsView } from './view_settings.js';
import { showStories } from './view_stories.js';
import { legend, StoryView } from './view_story.js';

const kBeginnings = [
  'Once upon a time, there was a little girl named Lily.',
  'One day, a boy found a small red box in the garden.',
  'The old bear could not sleep.',
];
const kKeepEvery = 1000; // milliseconds, while a story is told
const kWordsBefore = 70; // characters of the story that lead up to a token

class Page {
  api = new Api();
  store = new Store(window.localStorage);
  teller = new Teller(this.api);
  connection = new Connection(this.api, (state) => this.connected(state));
  settings = settingsFrom(this.store.settings());
  story = newStory();
  models = [];
  picked = null; // {part, token}
  lookup = null; // of the token that is being looked into
  keptAt = 0;
  retry = null; // what "Try again" does

  constructor() {
    this.storyView = new StoryView(byId('story'), (part, token) => this.pick(part, token));
    this.inside = new InsideView(byId('inside'), (by) => this.step(by));
    this.panel = new Panel(() => this.unpick());
    this.settingsView = new SettingsView(byId('settings'), this.settings, () => this.store.keepSettings(this.settings));
    byId('legend').append(...legend());
    byId('beginnings').append(...kBeginnings.map((text) =>
      element('li', {}, element('button', { type: 'button', on: { click: () => this.tell(text) } }, text))));
    this.listen();
    this.surprise();
    this.open(this.store.stories()[0] ?? newStory());
    this.connection.check();
  }

  listen() {
    const prompt = byId('prompt');
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.tell(prompt.value);
    });
    prompt.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.tell(prompt.value);
    });
    prompt.addEventListener('input', () => this.fitPrompt());
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      if (this.teller.telling) this.teller.stop();
      else this.panel.close();
    });
    byId('stop').addEventListener('click', () => this.teller.stop());
    byId('new').addEventListener('click', () => this.open(newStory(), true));
    byId('copy').addEventListener('click', () => this.copy());
    byId('again').addEventListener('click', () => this.again());
    byId('surprise').addEventListener('change', () => this.surprise());
    byId('model').addEventListener('change', () => this.chosen());
    byId('retry').addEventListener('click', () => this.tryAgain());
    byId('dismiss').addEventListener('click', () => this.notice(null));
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.api.key = byId('key').value;
      this.tryAgain();
    });
    window.addEventListener('pagehide', () => this.keep());
  }

  // --- the server

  async connected(state) {
    this.health(state, state === 'ready' ? 'Ready' : 'No answer');
    if (state === 'gone') {
      const told = this.story.parts.length > 0 ? ' What was told is kept here.' : '';
      return this.notice(`The server does not answer.${told} Looking for it again every second.`, () => this.connection.check());
    }
    this.notice(null);
    await this.listModels();
  }

  health(state, text) {
    byId('health').dataset.state = state;
    byId('health').querySelector('span').textContent = text;
  }

  async listModels() {
    try {
      this.models = await this.api.models();
    } catch (error) {
      return this.failed(error, () => this.listModels());
    }
    const select = byId('model');
    const wanted = this.story.parts.findLast((part) => part.by === 'model')?.model ?? select.value;
    select.replaceChildren(...this.models.map(({ id }) => element('option', { value: id, selected: id === wanted }, id)));
    select.hidden = this.models.length < 2;
    byId('model-name').textContent = this.models.length === 1 ? this.models[0].id : '';
    this.chosen();
  }

  /** Another model is chosen, or the first. */
  chosen() {
    const model = this.models.find(({ id }) => id === byId('model').value);
    byId('model-facts').textContent = model?.meta?.description ?? '';
    byId('model-facts').title = model?.meta?.description ?? '';
    this.settingsView.limit(model?.max_model_len);
    const report = byId('report');
    report.hidden = !model?.report || this.api.key !== ''; // a link brings no key
    report.href = `report/${encodeURIComponent(model?.id ?? '')}`;
  }

  /** A message above the story; null takes it away. */
  notice(text, retry = null, { wantsKey = false } = {}) {
    this.retry = retry;
    byId('notice').hidden = text === null;
    byId('notice').querySelector('p').textContent = text ?? '';
    byId('key-form').hidden = !wantsKey;
    byId('retry').hidden = retry === null || wantsKey;
    if (wantsKey) byId('key').focus();
  }

  tryAgain() {
    const retry = this.retry;
    this.notice(null);
    retry?.();
  }

  failed(error, retry) {
    if (!(error instanceof ApiError)) throw error;
    if (error.gone) {
      this.connection.lost();
      this.notice(error.message, () => this.connection.check());
    } else {
      this.notice(error.message, retry, { wantsKey: error.status === 401 });
    }
  }

  // --- the story

  async tell(text) {
    if (this.teller.telling) return;
    if (this.models.length === 0) await this.listModels();
    if (this.models.length === 0) return;
    if (text !== '') {
      this.story.parts.push({ by: 'reader', text: joined(storyText(this.story), text) });
      byId('prompt').value = '';
      this.fitPrompt();
    }
    await this.goOn(seedOf(this.settings));
  }

  /** The model goes on where the story is. */
  async goOn(seed, retry = () => this.goOn(seed)) {
    const story = this.story;
    const ask = { model: byId('model').value, settings: this.settings, seed };
    try {
      await this.teller.tell(story, ask, {
        onBegin: () => this.began(),
        onToken: (times) => this.grew(story.parts.at(-1), times),
      });
      this.health('ready', 'Ready');
    } catch (error) {
      this.health('ready', 'Ready');
      this.failed(error, retry);
    } finally {
      this.settle();
    }
  }

  began() {
    this.unpick();
    this.notice(null);
    this.health('telling', 'Telling');
    this.show();
    this.storyView.telling(true);
    byId('progress').textContent = 'Reading …';
    this.toEnd();
  }

  grew(part, { asked, first, last }) {
    const followed = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 120;
    this.storyView.grow();
    if (followed) this.toEnd();
    const speed = part.tokens.length > 1 ? `${((1000 * (part.tokens.length - 1)) / Math.max(1, last - first)).toFixed(0)} tokens/s, ` : '';
    byId('progress').textContent =
      `${part.tokens.length} ${part.tokens.length === 1 ? 'token' : 'tokens'}, ${speed}the first after ${(first - asked).toFixed(0)} ms, seed ${part.seed}`;
    if (last - this.keptAt > kKeepEvery) this.keep();
  }

  settle() {
    this.keep();
    this.show();
    this.storyView.telling(false);
    if (this.story.parts.at(-1)?.by !== 'model') byId('progress').textContent = '';
  }

  /** Draws everything that depends on which story it is and whether it is being told. */
  show() {
    const { telling } = this.teller;
    const begun = this.story.parts.length > 0;
    this.storyView.show(this.story);
    byId('empty').hidden = begun;
    document.querySelector('.colours').hidden = !begun;
    byId('tell').hidden = telling;
    byId('stop').hidden = !telling;
    byId('tell').textContent = begun ? 'Continue' : 'Tell';
    byId('prompt').placeholder = begun ? 'Add your own words, or let the model go on' : 'Once upon a time';
    byId('new').disabled = telling || !begun;
    byId('copy').disabled = !begun;
    byId('again').disabled = telling || this.story.parts.at(-1)?.by !== 'model';
    document.title = begun ? `${storyTitle(this.story)} – fabula` : 'fabula';
    this.list();
  }

  list() {
    showStories(byId('stories'), this.store.stories(), this.story, {
      open: (story) => this.open(story, true),
      remove: (story) => {
        this.store.forget(story.id);
        if (story.id === this.story.id) this.open(newStory());
        else this.list();
      },
    });
  }

  open(story, focus = false) {
    if (this.teller.telling) return;
    this.story = story;
    this.unpick();
    byId('progress').textContent = '';
    this.show();
    if (focus) byId('prompt').focus({ preventScroll: true });
  }

  /** What was told stays where nothing came in its place. */
  async again() {
    const story = this.story;
    const told = story.parts.pop();
    const before = story.parts.length;
    await this.goOn(seedOf({ seed: null }), () => this.again());
    if (story.parts.length > before) return;
    story.parts.push(told);
    this.settle();
  }

  keep() {
    if (this.story.parts.length === 0) return;
    this.story.changed = Date.now();
    this.store.keep(this.story);
    this.keptAt = performance.now();
  }

  async copy() {
    const button = byId('copy');
    const copied = await navigator.clipboard?.writeText(storyText(this.story)).then(() => true, () => false);
    if (!copied) {
      getSelection().selectAllChildren(byId('story')); // no clipboard without https: the reader's own copy will do
    }
    button.textContent = copied ? 'Copied' : 'Selected';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  }

  fitPrompt() {
    const prompt = byId('prompt');
    prompt.style.height = 'auto';
    prompt.style.height = `${prompt.scrollHeight}px`;
  }

  toEnd() {
    window.scrollTo({ top: document.documentElement.scrollHeight });
  }

  surprise() {
    const on = byId('surprise').checked;
    byId('story').classList.toggle('surprising', on);
    byId('legend').hidden = !on;
  }

  // --- inside a token

  async pick(part, token) {
    this.picked = { part, token };
    const span = this.storyView.mark(part, token);
    this.panel.open('inside');
    if (this.panel.covers) span.scrollIntoView({ block: 'start' });
    this.lookup?.abort();
    this.lookup = new AbortController();
    const { tokens, model } = this.story.parts[part];
    const prompt = promptOf(this.story, part);
    const ids = tokens.map(({ id }) => id);
    this.inside.busy(true);
    try {
      const request = { model, prompt, tokens: ids.slice(0, token), token: ids[token] };
      const answer = await this.api.inspect(request, this.lookup.signal);
      const before = prompt + partText({ tokens: tokens.slice(0, token) });
      this.inside.show(answer, before.slice(-kWordsBefore).replace(/\s+/g, ' '));
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.inside.failed(error.message);
      if (error.gone) this.connection.lost();
    }
    this.inside.busy(false);
  }

  /** To the token before or after the one that is looked into. */
  step(by) {
    const places = this.story.parts.flatMap(({ tokens }, part) => (tokens ?? []).map((_, token) => ({ part, token })));
    const at = places.findIndex(({ part, token }) => part === this.picked?.part && token === this.picked.token);
    const place = places[at + by];
    if (place) this.pick(place.part, place.token);
  }

  unpick() {
    this.lookup?.abort();
    this.picked = null;
    this.storyView.mark();
    this.inside.empty();
  }
}

new Page();
