// Stories: what the reader wrote and what was told, and where they are kept.
import { textOf } from './tokens.js';

/**
 * A story: {id, changed, parts}. A part is {by: 'reader', text} or {by: 'model', model, seed, from, tokens, end}:
 * tokens are {id, text, logprob, ends: is it the one that ends a text?}, `from` is where in the text before it the model began to read, `end` why it stopped
 * ("stop", "length", "stopped", "cut off").
 */
export const newStory = () => ({ id: crypto.randomUUID?.() ?? String(Math.random()), changed: Date.now(), parts: [] });

export const partText = (part) => (part.by === 'reader' ? part.text : textOf(part.tokens));
export const storyText = (story) => story.parts.map(partText).join('');
export const storyTokens = (story) => story.parts.reduce((sum, part) => sum + (part.tokens?.length ?? 0), 0);

/** The text before a part that its model read. */
export function promptOf(story, index) {
  return story.parts.slice(0, index).map(partText).join('').slice(story.parts[index].from);
}

/** The first words, as a name for the story. */
export function storyTitle(story) {
  const text = storyText(story).trim().replace(/\s+/g, ' ');
  if (text.length <= 60) return text || 'A new story';
  return text.slice(0, 60).replace(/\s+\S*$/, '') + ' …';
}

/** Text that is added to a story: behind a word it begins with a space, unless it brings one or goes on with a sign. */
export function joined(before, text) {
  return /\S$/.test(before) && /^[\p{L}\p{N}"'“(]/u.test(text) ? ' ' + text : text;
}

/** Where a model goes on reading when a text is too long for it: at the first sentence of the later half. */
export function laterHalf(text, from) {
  const half = from + Math.ceil((text.length - from) / 2);
  const sentence = text.slice(half).search(/(?<=[.!?]["”']?\s+)\S/);
  if (sentence >= 0 && half + sentence < text.length) return half + sentence;
  const word = text.slice(half).search(/\s\S/);
  return word >= 0 ? half + word : half;
}

const kStories = 'fabula.stories';
const kSettingsKey = 'fabula.settings';
const kMostStories = 100;

/** What the browser keeps between visits. Every kept value is checked: it may be of another version, or no JSON. */
export class Store {
  #storage;

  constructor(storage) {
    this.#storage = storage;
  }

  stories() {
    const kept = this.#read(kStories);
    return Array.isArray(kept) ? kept.filter(isStory) : [];
  }

  /** Keeps a story as the newest; forgets the oldest where the browser has no room. Other windows' stories stay. */
  keep(story) {
    let kept = [story, ...this.stories().filter(({ id }) => id !== story.id)].slice(0, kMostStories);
    while (!this.#write(kStories, kept) && kept.length > 1) kept = kept.slice(0, Math.ceil(kept.length / 2));
  }

  forget(id) {
    this.#write(kStories, this.stories().filter((story) => story.id !== id));
  }

  settings = () => this.#read(kSettingsKey) ?? {};
  keepSettings = (settings) => this.#write(kSettingsKey, settings);

  #read(key) {
    try {
      return JSON.parse(this.#storage.getItem(key));
    } catch {
      return null;
    }
  }

  #write(key, value) {
    try {
      this.#storage.setItem(key, JSON.stringify(value));
      return true;
    } catch {
      return false; // full, or switched off
    }
  }
}

function isStory(story) {
  const isToken = (token) => typeof token?.text === 'string' && Number.isFinite(token.logprob);
  const isPart = (part) =>
    part?.by === 'reader' ? typeof part.text === 'string' : Array.isArray(part?.tokens) && part.tokens.every(isToken);
  return typeof story?.id === 'string' && Array.isArray(story.parts) && story.parts.every(isPart);
}
