// The page's logic, without its elements: run in the browser by logic_test.py, which serves src/serve/page at /page.
import { errorOf } from '/page/api.js';
import { EventParser, eventsOf } from '/page/sse.js';
import { defaultSettings, kSettings, requestOf, seedOf, settingsFrom, shown } from '/page/settings.js';
import { joined, laterHalf, newStory, promptOf, Store, storyText, storyTitle, storyTokens } from '/page/story.js';
import { markEnd, Teller, tokensOf } from '/page/teller.js';
import { count, percent, spansOf, surpriseOf, textOf, visible } from '/page/tokens.js';
import { ago } from '/page/view_stories.js';

const tests = {};

function equal(actual, expected, what = '') {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what ? what + ': ' : ''}${a} is not ${b}`);
}

async function rejects(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** What a parser makes of a text cut into pieces of `size` characters. */
function parse(text, size = text.length) {
  const parser = new EventParser();
  const events = [];
  for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
  return events;
}

tests.events_end_with_any_line_end_wherever_they_are_cut = () => {
  for (const end of ['\n', '\r', '\r\n']) {
    const text = [': keep-alive', '', 'data: {"a":1}', '', 'event: other', 'data:{"b":"ä😀"}', 'data:  two', '', 'data', '', 'id: 3', '', 'data: [DONE]', '', ''].join(end);
    for (let size = 1; size <= text.length; size += 1)
      equal(parse(text, size), ['{"a":1}', '{"b":"ä😀"}\n two', '', '[DONE]'], `${JSON.stringify(end)} by ${size}`);
  }
};

tests.an_event_without_its_end_is_none = () => {
  equal(parse('data: cut'), []);
  equal(parse('data: cut\n'), []);
  equal(parse('data: whole\n\ndata: cut'), ['whole']);
};

tests.characters_that_the_network_cuts_are_whole_again = async () => {
  const bytes = new TextEncoder().encode('data: ä😀\n\n');
  const body = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const events = [];
  for await (const data of eventsOf(body)) events.push(data);
  equal(events, ['ä😀']);
};

tests.who_stops_listening_cancels_the_stream = async () => {
  let cancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
    cancel: () => { cancelled = true; },
  });
  for await (const data of eventsOf(body)) {
    equal(data, 'x');
    break;
  }
  equal(cancelled, true);
};

tests.errors_are_told_in_words = () => {
  const error = errorOf(400, '{"error":{"message":"the prompt is too long","code":"context_length_exceeded"}}');
  equal([error.message, error.code, error.wait], ['The prompt is too long.', 'context_length_exceeded', false]);
  equal(errorOf(429, '{"error":{"message":"busy!"}}').wait, true);
  equal(errorOf(503, '').wait, true);
  for (const body of ['', '<html>', 'null', '[]', '{"error":7}', '{"error":{"message":{}}}'])
    equal(errorOf(502, body).message, 'The server answered with status 502.', body);
};

tests.cut_characters_become_one_span = () => {
  const tokens = [' a', 'bytes:\\xf0\\x9f', 'bytes:\\x98', 'bytes:\\x80', 'b', 'bytes:\\xc3', 'c', 'bytes: no', 'bytes:'].map((text) => ({ text }));
  equal(spansOf(tokens), [
    { text: ' a', first: 0, count: 1 }, { text: '😀', first: 1, count: 3 }, { text: 'b', first: 4, count: 1 },
    { text: '\ufffd', first: 5, count: 1 }, { text: 'c', first: 6, count: 1 }, { text: 'bytes: no', first: 7, count: 1 },
    { text: 'bytes:', first: 8, count: 1 }]);
  equal(textOf(tokens.slice(0, 5)), ' a😀b');
  equal(spansOf([{ text: 'bytes:\\xc3' }, { text: 'bytes:\\xa4' }, { text: 'bytes:\\xc3' }, { text: 'bytes:\\xb6' }]).map(({ text }) => text), ['ä', 'ö']);
};

tests.surprise_has_its_classes = () => {
  equal([1, 0.5, 0.49, 0.2, 0.06, 0.01, 0.002, 0.0001, 0].map((p) => surpriseOf(Math.log(p))), [0, 0, 1, 1, 2, 3, 4, 5, 5]);
  equal(surpriseOf(-9999), 5);
};

tests.probabilities_have_two_digits = () => {
  equal([1, 0.99999, 0.994, 0.5, 0.0995, 0.041, 0.00997, 0.00052, 1e-6, 0].map((p) => percent(Math.log(p))),
    ['100 %', '> 99.9 %', '99.4 %', '50 %', '10 %', '4.1 %', '1.0 %', '0.052 %', '< 0.001 %', '< 0.001 %']);
  equal(count(50257), '50,257');
};

tests.what_is_invisible_is_shown = () => {
  equal([' dog', 'dog', '\n', '', '   ', 'a\tb'].map(visible), ['␣dog', 'dog', '↵', '∅', '␣␣␣', 'a⇥b']);
};

tests.settings_are_put_right = () => {
  equal(settingsFrom(null), defaultSettings());
  equal(settingsFrom('x'), defaultSettings());
  equal(settingsFrom({ temperature: 99, top_k: 'many', top_p: NaN, seed: -4, max_tokens: 7 }),
    { ...defaultSettings(), temperature: 2, seed: 0, max_tokens: 7 });
};

tests.a_request_has_what_is_not_off = () => {
  equal(requestOf(defaultSettings(), 7), { seed: 7, temperature: 0.8, top_p: 0.95, max_tokens: 120 });
  const all = Object.fromEntries(kSettings.map(({ key, max }) => [key, max]));
  equal(Object.keys(requestOf({ ...all, top_p: 0.5 }, 7)).sort(), ['seed', ...kSettings.map(({ key }) => key)].sort());
  equal(seedOf({ seed: 0 }), 0);
  equal(Number.isInteger(seedOf({ seed: null })), true);
  equal(kSettings.map((setting) => shown(setting, setting.off ?? setting.value)),
    ['0.8', 'off', 'off', 'off', 'off', 'off', 'off', '120']);
};

const told = (from, ...texts) =>
  ({ by: 'model', from, tokens: texts.map((text) => ({ id: 1, text, logprob: -1 })), end: 'length' });

tests.a_story_is_its_parts = () => {
  const story = { ...newStory(), parts: [{ by: 'reader', text: 'One day' }, told(0, ' a', ' cat'), { by: 'reader', text: ' and' }, told(4, ' dog')] };
  equal(storyText(story), 'One day a cat and dog');
  equal(storyTokens(story), 3);
  equal(promptOf(story, 1), 'One day');
  equal(promptOf(story, 3), 'day a cat and');
  equal(storyTitle(story), 'One day a cat and dog');
  equal(storyTitle({ parts: [] }), 'A new story');
  equal(storyTitle({ parts: [{ by: 'reader', text: 'word '.repeat(30) }] }).length <= 63, true);
};

tests.words_are_joined_by_a_space = () => {
  equal(joined('', 'Once'), 'Once');
  equal(joined('the end.', 'But'), ' But');
  equal(joined('the end. ', 'But'), 'But');
  equal(joined('the end.', ' But'), ' But');
  equal(joined('the end', ', and'), ', and');
  equal(joined('he said', '"no"'), ' "no"');
};

tests.a_long_text_goes_on_from_its_later_half = () => {
  const text = 'One two three four. Five six seven. Eight nine ten.';
  equal(text.slice(laterHalf(text, 0)), 'Eight nine ten.');
  equal(text.slice(laterHalf(text, 36)), ' ten.', 'no sentence begins in the later half');
  equal(laterHalf('aaaa', 0), 2);
  for (let from = 0, tries = 0; from < text.length; tries += 1) {
    const next = laterHalf(text, from);
    if (next <= from || tries > 20) throw new Error(`stays at ${from}`);
    from = next;
  }
};

class Kept {
  values = new Map();
  room = Infinity;
  getItem = (key) => this.values.get(key) ?? null;
  setItem(key, value) {
    if (value.length > this.room) throw new DOMException('full', 'QuotaExceededError');
    this.values.set(key, value);
  }
}

tests.stories_are_kept_newest_first = () => {
  const store = new Store(new Kept());
  const [a, b] = ['a', 'b'].map((id) => ({ id, changed: 1, parts: [{ by: 'reader', text: id }] }));
  store.keep(a);
  store.keep(b);
  equal(store.stories().map(({ id }) => id), ['b', 'a']);
  store.keep(a);
  equal(store.stories().map(({ id }) => id), ['a', 'b']);
  store.forget('a');
  equal(store.stories().map(({ id }) => id), ['b']);
  for (let i = 0; i < 120; i += 1) store.keep({ ...a, id: `n${i}` });
  equal(store.stories().length, 100);
  equal(store.stories()[0].id, 'n119');
};

tests.the_oldest_story_goes_where_there_is_no_room = () => {
  const storage = new Kept();
  storage.room = 1000;
  const store = new Store(storage);
  for (let i = 0; i < 20; i += 1) store.keep({ id: `n${i}`, changed: 1, parts: [{ by: 'reader', text: 'x'.repeat(100) }] });
  equal(store.stories()[0].id, 'n19');
  storage.room = 0;
  store.keep({ id: 'more', changed: 1, parts: [] }); // no room at all: nothing is thrown, nothing is lost
  equal(store.stories()[0].id, 'n19');
};

tests.what_is_kept_is_checked = () => {
  const storage = new Kept();
  const store = new Store(storage);
  const good = { id: 'g', changed: 1, parts: [told(0, 'x')] };
  for (const kept of ['', '{', '7', 'null', '{"a":1}', '[null,7,{"id":"x"},{"id":"x","parts":[{"by":"model"}]},{"id":"x","parts":[{"by":"model","tokens":[{"text":1}]}]}]']) {
    storage.values.set('fabula.stories', kept);
    equal(store.stories(), [], kept);
  }
  storage.values.set('fabula.stories', JSON.stringify([good, 3]));
  equal(store.stories(), [good]);
};

tests.times_are_told_in_words = () => {
  equal([5, 125, 7300, 200000].map((seconds) => ago(0, seconds * 1000)), ['just now', '2 minutes ago', '2 hours ago', '2 days ago']);
};

tests.tokens_are_read_from_a_chunk = () => {
  equal(tokensOf({ logprobs: { tokens: ['a', 'b'], token_logprobs: [-1, -2] }, tokens: [3, 4] }),
    [{ id: 3, text: 'a', logprob: -1 }, { id: 4, text: 'b', logprob: -2 }]);
  equal(tokensOf({ logprobs: null }), []);
};

tests.the_token_that_ends_a_text_is_none_of_it = () => {
  const tokens = [{ text: ' a' }, { text: '<|endoftext|>' }];
  markEnd(tokens, ' a');
  equal(tokens, [{ text: ' a' }, { text: '', ends: true }]);
  const stopped = [{ text: ' a' }, { text: ' b' }];
  markEnd(stopped, ' a b');
  equal(stopped, [{ text: ' a' }, { text: ' b' }], 'all of it was shown');
  markEnd([], '');
};

/** An API that gives chunks, or throws what is an error among them. */
function scripted(...scripts) {
  const requests = [];
  return {
    requests,
    async *complete(request, signal) {
      requests.push(request);
      for (const step of scripts[requests.length - 1]) {
        signal.throwIfAborted();
        if (step instanceof Error) throw step;
        yield { choices: [{ logprobs: { tokens: [step], token_logprobs: [-1] }, tokens: [9], text: step === '.' ? '' : step, finish_reason: step === '.' ? 'stop' : null }] };
      }
    },
  };
}

const begun = () => ({ ...newStory(), parts: [{ by: 'reader', text: 'One. Two three four. Five six.' }] });
const ask = { model: 'm', settings: defaultSettings(), seed: 5 };
const ignore = { onBegin() {}, onToken() {} };

tests.a_part_grows_and_ends = async () => {
  const api = scripted([' a', ' b', '.']);
  const story = begun();
  let grown = 0;
  await new Teller(api).tell(story, ask, { onBegin() {}, onToken: () => { grown += 1; } });
  equal(grown, 3);
  equal(story.parts[1].tokens.map(({ text, ends }) => [text, ends === true]), [[' a', false], [' b', false], ['', true]], 'the end is no text');
  equal(story.parts[1].end, 'stop');
  equal([api.requests[0].prompt, api.requests[0].model, api.requests[0].seed], ['One. Two three four. Five six.', 'm', 5]);
};

tests.what_came_before_a_stop_or_an_end_of_the_server_stays = async () => {
  const story = begun();
  const teller = new Teller(scripted([' a', ' b', ' c']));
  await teller.tell(story, ask, { onBegin() {}, onToken: () => teller.stop() });
  equal([story.parts[1].tokens.length, story.parts[1].end, teller.telling], [1, 'stopped', false]);
  const gone = errorOf(503, '');
  equal(await rejects(new Teller(scripted([' d', gone])).tell(story, ask, ignore)), gone);
  equal([story.parts[2].tokens.length, story.parts[2].end], [1, 'cut off']);
  await rejects(new Teller(scripted([gone])).tell(story, ask, ignore));
  equal(story.parts.length, 3, 'a part of nothing does not stay');
};

tests.a_text_that_is_too_long_is_read_from_its_later_half = async () => {
  const long = errorOf(400, '{"error":{"message":"too long","code":"context_length_exceeded"}}');
  const story = begun();
  const api = scripted([long], [' a', '.'], ['.']);
  const teller = new Teller(api);
  await teller.tell(story, ask, ignore);
  equal(api.requests.map(({ prompt }) => prompt), ['One. Two three four. Five six.', 'Five six.']);
  await teller.tell(story, ask, ignore);
  equal(api.requests[2].prompt, 'Five six. a', 'it goes on from there');
  const never = scripted(...Array(20).fill([long]));
  equal(await rejects(new Teller(never).tell(begun(), ask, ignore)), long);
  equal(never.requests.length <= 7, true);
};

window.results = (async () => {
  const failures = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
    } catch (error) {
      failures.push(`${name}: ${error.stack}`);
    }
  }
  return { count: Object.keys(tests).length, failures };
})();
