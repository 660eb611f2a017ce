// Tokens as the page shows them: their text, how surprising they were, and numbers in words.

/** A token as logprobs name it, as bytes: `bytes:\xe2\x80` is part of a character; anything else is text. */
function partialBytes(name) {
  if (!name.startsWith('bytes:')) return null;
  const bytes = [...name.slice(6).matchAll(/\\x([0-9a-fA-F]{2})/g)].map((match) => parseInt(match[1], 16));
  return bytes.length > 0 && name.length === 6 + 4 * bytes.length ? bytes : null;
}

/**
 * What is shown of a row of tokens [{text, …}]: [{text, first, count}], one entry a token, but one for all tokens that a
 * character is cut into.
 */
export function spansOf(tokens) {
  const spans = [];
  let bytes = [];
  tokens.forEach((token, index) => {
    const part = partialBytes(token.text);
    if (part === null) {
      bytes = [];
      spans.push({ text: token.text, first: index, count: 1 });
      return;
    }
    if (bytes.length === 0) spans.push({ text: '', first: index, count: 0 });
    const span = spans.at(-1);
    bytes.push(...part);
    span.count += 1;
    span.text = new TextDecoder().decode(new Uint8Array(bytes));
    if (!span.text.includes('\ufffd')) bytes = []; // whole: what follows is another character
  });
  return spans;
}

/** The text of a row of tokens. */
export const textOf = (tokens) => spansOf(tokens).map((span) => span.text).join('');

/** Classes of surprise: a token is in the first one whose probability it reaches. */
export const kSurprise = [
  { least: 0.5, label: '≥ 50 %' },
  { least: 0.2, label: '≥ 20 %' },
  { least: 0.05, label: '≥ 5 %' },
  { least: 0.01, label: '≥ 1 %' },
  { least: 0.001, label: '≥ 0.1 %' },
  { least: 0, label: 'less' },
];

/** The class of surprise, 0 (expected) to 5, of a token's log p. */
export function surpriseOf(logprob) {
  const p = Math.exp(logprob);
  return kSurprise.findIndex((level) => p >= level.least);
}

/** A probability in percent with two digits that mean something: "37 %", "4.1 %", "0.052 %", "< 0.001 %". */
export function percent(logprob) {
  const value = 100 * Math.exp(logprob);
  if (value >= 99.95) return value >= 100 - 1e-9 ? '100 %' : '> 99.9 %';
  if (value >= 9.95) return `${value.toFixed(value >= 99 ? 1 : 0)} %`;
  if (value >= 0.995) return `${value.toFixed(1)} %`;
  if (value < 0.001) return '< 0.001 %';
  return `${value.toPrecision(2)} %`;
}

/** A token's text with what is invisible made visible: a space before a word, line ends, nothing. */
export function visible(text) {
  if (text === '') return '∅';
  return text.replace(/^ | $|(?<= ) | (?= )/g, '␣').replaceAll('\n', '↵').replaceAll('\t', '⇥');
}

/** Thousands apart: "50,257". */
export const count = (number) => number.toLocaleString('en');
