// Server-sent events as they come from fetch: pieces of text that may end anywhere.

/** Takes a stream's text piece by piece; lines end with LF, CR or CRLF, as the standard says. */
export class EventParser {
  #line = '';
  #data = [];
  #afterReturn = false; // a CR was the last character: an LF that follows belongs to it

  /** The data of the events that `text` completes. */
  push(text) {
    const events = [];
    for (const character of text) {
      if (character === '\n' && this.#afterReturn) {
        this.#afterReturn = false;
        continue;
      }
      this.#afterReturn = character === '\r';
      if (character === '\n' || character === '\r') {
        this.#endLine(events);
      } else {
        this.#line += character;
      }
    }
    return events;
  }

  #endLine(events) {
    const line = this.#line;
    this.#line = '';
    if (line === '') {
      if (this.#data.length > 0) events.push(this.#data.join('\n'));
      this.#data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: the server keeps the connection alive with them
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== 'data') return;
    const value = colon < 0 ? '' : line.slice(colon + 1);
    this.#data.push(value.startsWith(' ') ? value.slice(1) : value);
  }
}

/** The data of all events of a response's body, as they come. A character may be cut by the network: it is put together. */
export async function* eventsOf(body) {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      yield* parser.push(done ? decoder.decode() : decoder.decode(value, { stream: true }));
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops listening frees the server's slot
  }
}
