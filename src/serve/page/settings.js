// How a story is told: one table that the sliders, their defaults and the requests are made from.

/**
 * key: the API's name; value: where a new reader starts; off: what means "not used", which is not sent.
 */
export const kSettings = [
  { key: 'temperature', group: 'Sampling', label: 'Temperature', min: 0, max: 2, step: 0.05, value: 0.8,
    help: 'Low keeps to what is likely, 0 always takes the likeliest token.' },
  { key: 'top_p', group: 'Sampling', label: 'Top p', min: 0.05, max: 1, step: 0.01, value: 0.95, off: 1,
    help: 'Only the likeliest tokens that together reach this probability.' },
  { key: 'top_k', group: 'Sampling', label: 'Top k', min: 0, max: 200, step: 1, value: 0, off: 0,
    help: 'Only so many of the likeliest tokens.' },
  { key: 'min_p', group: 'Sampling', label: 'Min p', min: 0, max: 0.5, step: 0.01, value: 0, off: 0,
    help: 'Only tokens at least so likely as the likeliest, times this.' },
  { key: 'repeat_penalty', group: 'Repetition', label: 'Repetition penalty', min: 1, max: 2, step: 0.05, value: 1,
    off: 1, help: 'Makes every token that has been less likely.' },
  { key: 'presence_penalty', group: 'Repetition', label: 'Presence penalty', min: -2, max: 2, step: 0.1, value: 0,
    off: 0, help: 'Taken once from each token that was told.' },
  { key: 'frequency_penalty', group: 'Repetition', label: 'Frequency penalty', min: -2, max: 2, step: 0.1, value: 0,
    off: 0, help: 'Taken from a token for each time that it was told.' },
  { key: 'max_tokens', group: 'Length and luck', label: 'Most tokens', min: 1, max: 512, step: 1, value: 120,
    help: 'How much is told at once, unless the story ends before.' },
];

export const kMostSeed = 0xffffffff;

/** Settings of a new reader; a seed of null means another one each time. */
export const defaultSettings = () => ({ ...Object.fromEntries(kSettings.map((s) => [s.key, s.value])), seed: null });

const clamp = (number, min, max) => Math.min(max, Math.max(min, number));

/** `stored` as settings: what is missing or no number of its range is put right. */
export function settingsFrom(stored) {
  const settings = defaultSettings();
  for (const { key, min, max } of kSettings) {
    if (Number.isFinite(stored?.[key])) settings[key] = clamp(stored[key], min, max);
  }
  if (Number.isInteger(stored?.seed)) settings.seed = clamp(stored.seed, 0, kMostSeed);
  return settings;
}

/** The seed to tell with: the reader's, or a new one. */
export function seedOf(settings) {
  return settings.seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
}

/** What the API is asked for. */
export function requestOf(settings, seed) {
  const request = { seed };
  for (const { key, off } of kSettings) {
    if (settings[key] !== off) request[key] = settings[key];
  }
  return request;
}

/** A setting's value as its slider shows it. */
export function shown(setting, value) {
  if (value === setting.off) return 'off';
  return String(Number(value.toFixed(2)));
}
