// The sliders, made from the table of settings.
import { element } from './dom.js';
import { defaultSettings, kMostSeed, kSettings, shown } from './settings.js';

export class SettingsView {
  #root;
  #settings;
  #onChange;
  #mostTokens = Infinity;

  constructor(root, settings, onChange) {
    this.#root = root;
    this.#settings = settings;
    this.#onChange = onChange;
    this.#draw();
  }

  /** The model's context bounds how much can be told. */
  limit(context) {
    this.#mostTokens = context ?? Infinity;
    this.#draw();
  }

  #draw() {
    this.#root.replaceChildren(
      ...groupedSettings().flatMap(([name, settings]) => [
        element('h2', { class: 'group-name' }, name), ...settings.map((setting) => this.#slider(setting))]),
      this.#seed(),
      element('button', { type: 'button', class: 'button', on: { click: () => this.#reset() } }, 'As they were at first'));
  }

  #slider(setting) {
    const { key, label, help, min, step } = setting;
    const max = key === 'max_tokens' ? Math.min(setting.max, this.#mostTokens) : setting.max;
    const output = element('output', { for: `set-${key}` });
    const input = element('input', {
      type: 'range', id: `set-${key}`, min, max, step, value: this.#settings[key], 'aria-describedby': `help-${key}`,
    });
    const tell = () => {
      output.textContent = shown(setting, Number(input.value));
      output.classList.toggle('off', output.textContent === 'off');
      input.setAttribute('aria-valuetext', output.textContent);
    };
    input.addEventListener('input', () => {
      this.#settings[key] = Number(input.value);
      tell();
      this.#onChange();
    });
    tell();
    return element('div', { class: 'setting' },
      element('label', { for: `set-${key}` }, label, output), input, element('p', { id: `help-${key}` }, help));
  }

  #seed() {
    const input = element('input', {
      id: 'set-seed', type: 'text', inputmode: 'numeric', placeholder: 'another one each time', autocomplete: 'off',
      'aria-describedby': 'help-seed', value: this.#settings.seed ?? '',
    });
    input.addEventListener('input', () => {
      const digits = input.value.replace(/\D/g, '');
      if (digits !== input.value) input.value = digits;
      this.#settings.seed = digits === '' ? null : Math.min(kMostSeed, Number(digits));
      this.#onChange();
    });
    return element('div', { class: 'setting' },
      element('label', { for: 'set-seed' }, 'Seed'), element('div', { class: 'seed' }, input),
      element('p', { id: 'help-seed' }, 'The same beginning, settings and seed tell the same story.'));
  }

  #reset() {
    Object.assign(this.#settings, defaultSettings());
    this.#draw();
    this.#onChange();
  }
}

/** [[name, settings]] in the order of the table. */
function groupedSettings() {
  const groups = new Map();
  for (const setting of kSettings) groups.set(setting.group, [...(groups.get(setting.group) ?? []), setting]);
  return [...groups];
}
