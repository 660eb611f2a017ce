// Earlier stories: a list that survives the page and the server.
import { element } from './dom.js';
import { storyTitle, storyTokens } from './story.js';
import { count } from './tokens.js';

const kUnits = [['day', 86400], ['hour', 3600], ['minute', 60]];

/** "3 minutes ago". */
export function ago(then, now = Date.now()) {
  const seconds = (now - then) / 1000;
  for (const [unit, length] of kUnits) {
    if (seconds >= length) return new Intl.RelativeTimeFormat('en').format(-Math.floor(seconds / length), unit);
  }
  return 'just now';
}

/** Draws the list; `open` and `remove` are called with a story. */
export function showStories(root, stories, current, { open, remove }) {
  if (stories.length === 0) {
    root.replaceChildren(element('h2', {}, 'No story yet'), element('p', { class: 'lead' },
      'Every story that is told here is kept in this browser, and nowhere else.'));
    return;
  }
  const entries = stories.map((story) => {
    const title = storyTitle(story);
    return element('li', { class: story.id === current?.id ? 'picked' : '' },
      element('button', { type: 'button', class: 'open', 'aria-current': story.id === current?.id ? 'true' : null, on: { click: () => open(story) } },
        element('b', {}, title),
        element('small', {}, `${ago(story.changed)} · ${count(storyTokens(story))} tokens`)),
      element('button', { type: 'button', class: 'button quiet', 'aria-label': `Forget “${title}”`, on: { click: () => remove(story) } }, '✕'));
  });
  root.replaceChildren(element('ul', { class: 'kept' }, entries),
    element('p', { class: 'lead' }, 'Kept in this browser, and nowhere else.'));
}
