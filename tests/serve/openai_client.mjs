// node openai_client.mjs PORT NODE_MODULES: the official client asks the server that openai_client_test.cpp has started.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const [port, modules] = process.argv.slice(2);
const OpenAI = createRequire(path.join(path.resolve(modules), 'client.js'))('openai').default;
const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'none', maxRetries: 0 });

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.deepEqual(models, ['one', 'two']);
assert.equal((await client.models.retrieve('two')).id, 'two');

const request = { model: 'one', prompt: 'Once', max_tokens: 12, seed: 3, logit_bias: { 256: -100 } };
const whole = await client.completions.create({ ...request, logprobs: 2 });
assert.equal(whole.usage.completion_tokens, 12);
assert.equal(whole.choices[0].finish_reason, 'length');
assert.equal(whole.choices[0].logprobs.tokens.length, 12);

let text = '';
let usage = null;
const stream = await client.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) {
  text += chunk.choices[0]?.text ?? '';
  usage ??= chunk.usage;
}
assert.equal(text, whole.choices[0].text);
assert.deepEqual(usage, whole.usage);

const messages = [{ role: 'user', content: 'Once' }];
const chat = await client.chat.completions.create({ ...request, prompt: undefined, messages, logprobs: true });
assert.equal(chat.choices[0].message.role, 'assistant');
assert.equal(chat.choices[0].logprobs.content.length, 12);
let told = '';
for await (const chunk of await client.chat.completions.create({ ...request, prompt: undefined, messages, stream: true }))
  told += chunk.choices[0]?.delta?.content ?? '';
assert.equal(told, chat.choices[0].message.content);

await assert.rejects(client.completions.create({ ...request, model: 'three' }), (error) => {
  assert.ok(error instanceof OpenAI.NotFoundError);
  assert.equal(error.code, 'model_not_found');
  assert.ok(error.requestID.startsWith('req-'));
  return true;
});
await assert.rejects(client.completions.create({ ...request, temperature: -1 }), OpenAI.BadRequestError);

const broken = await client.completions.create({ ...request, max_tokens: 2000, stream: true });
for await (const chunk of broken) {
  assert.ok(chunk.choices[0]);
  break; // aborts the request
}
console.log('the official client is content');
