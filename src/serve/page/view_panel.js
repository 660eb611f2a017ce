// The side panel: tabs beside the story, a sheet over it on a narrow screen.
import { byId, stepTo } from './dom.js';

const kTabs = ['inside', 'settings', 'stories'];

export class Panel {
  #onClose;
  #opener = null; // what had the focus before the sheet

  constructor(onClose) {
    this.#onClose = onClose;
    const list = document.querySelector('.tabs');
    list.addEventListener('click', (event) => {
      const tab = event.target.closest('[role=tab]');
      if (tab) this.#select(tab.getAttribute('aria-controls'));
    });
    list.addEventListener('keydown', (event) => {
      const at = kTabs.findIndex((name) => byId(`tab-${name}`) === event.target);
      const target = at < 0 ? undefined : stepTo(event.key, at, kTabs.length);
      if (target === undefined) return;
      event.preventDefault();
      this.#select(kTabs[target]);
      byId(`tab-${kTabs[target]}`).focus();
    });
    byId('close-panel').addEventListener('click', () => this.close());
    for (const button of document.querySelectorAll('[data-open]'))
      button.addEventListener('click', () => {
        this.open(button.dataset.open);
        byId(`tab-${button.dataset.open}`).focus();
      });
  }

  /** Does it lie over the story? */
  get covers() {
    return getComputedStyle(byId('panel')).position === 'fixed';
  }

  /** Brings a tab to the front; on a narrow screen opens the sheet. */
  open(name) {
    const panel = byId('panel');
    if (!panel.classList.contains('open')) this.#opener = document.activeElement;
    panel.classList.add('open');
    this.#select(name);
  }

  close() {
    byId('panel').classList.remove('open');
    (document.querySelector('.token.picked') ?? this.#opener)?.focus({ preventScroll: true });
    this.#opener = null;
    this.#onClose();
  }

  #select(name) {
    for (const tab of kTabs) {
      byId(tab).hidden = tab !== name;
      byId(`tab-${tab}`).setAttribute('aria-selected', String(tab === name));
      byId(`tab-${tab}`).tabIndex = tab === name ? 0 : -1;
    }
    byId(name).scrollTop = 0;
  }
}
